/* Requests from outside and the answers to them: any bytes as either. What is taken is as
 * the header says, to the last byte. */
#include "link/request.h"

#include "fuzz.h"

#include <errno.h>
#include <string.h>

static void
require_same(const void *record, size_t record_size, const uint8_t *data, size_t size)
{
    REQUIRE(size == record_size && memcmp(record, data, size) == 0);
}

static void
read_request(const uint8_t *data, size_t size)
{
    struct pf_request request;
    int r = pf_request_parse(data, size, &request);

    REQUIRE(r == 0 || r == -EBADMSG || r == -EPROTONOSUPPORT);
    if (r != 0)
        return;
    require_same(&request, sizeof request, data, size);
    REQUIRE(request.kind >= PF_REQUEST_RELOAD && request.kind <= PF_REQUEST_LAST);
    REQUIRE(request.wait <= 1 && request.zero == 0);
}

static void
read_answer(const uint8_t *data, size_t size)
{
    struct pf_answer answer;
    int r = pf_answer_parse(data, size, &answer);

    REQUIRE(r == 0 || r == -EBADMSG || r == -EPROTONOSUPPORT);
    if (r != 0)
        return;
    require_same(&answer, sizeof answer, data, size);
    REQUIRE(answer.kind >= PF_ANSWER_ACCEPTED && answer.kind <= PF_ANSWER_LAST);
    REQUIRE(memchr(answer.text, '\0', sizeof answer.text));
    REQUIRE(!strpbrk(answer.text, "\n\r\t\x1b\x7f"));
}

/* A text of our own comes back, whatever it was made of. */
static void
make_answer(const uint8_t *data, size_t size)
{
    struct pf_answer made;
    struct pf_answer read;
    char *text = text_of(data, size);

    pf_answer_make(&made, PF_ANSWER_FAILED, size, text);
    free(text);
    REQUIRE(pf_answer_parse(&made, sizeof made, &read) == 0);
    REQUIRE(memcmp(&made, &read, sizeof made) == 0);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    read_request(data, size);
    read_answer(data, size);
    make_answer(data, size);
    return 0;
}
