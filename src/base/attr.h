/* Promises to the compiler, spelled the same everywhere, and the assertion that stays on.
 *
 * PF_ASSERT is for our own tables only: what it checks can be false through a bug of
 * ours and never through input, a worker or the kernel. It is not switched off in
 * releases. In a worker it costs one worker; in the master it is a bug report. */
#ifndef PF_BASE_ATTR_H
#define PF_BASE_ATTR_H

#define PF_PRINTF(text, first) __attribute__((format(printf, text, first)))
#define PF_MUST_USE            __attribute__((warn_unused_result))
#define PF_NORETURN            __attribute__((noreturn))

/* What a worker writes stands together: a page that is written after the fork is a copy of
 * its own from then on, so it is one page for all of these, and not one for each. The page
 * begins with the one that is linked first, and what is large stands at its end. */
#define PF_PER_WORKER_FIRST __attribute__((section("pf_per_worker"), aligned(4096)))
#define PF_PER_WORKER       __attribute__((section("pf_per_worker")))
#define PF_PER_WORKER_LARGE __attribute__((section("pf_per_worker_large")))

#define PF_COUNT(array) (sizeof(array) / sizeof((array)[0]))

/* Say which promise was broken, where, and abort. */
PF_NORETURN void pf_assert_failed(const char *what, const char *file, int line);

#define PF_ASSERT(what) ((what) ? (void)0 : pf_assert_failed(#what, __FILE__, __LINE__))

#endif
