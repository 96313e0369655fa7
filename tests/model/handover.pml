/* The hand-over between masters (docs/notes/0010), for spin(1).
 *
 * What makes a hand-over hard is what happens between two steps of it: a crash here, a signal
 * there, a client in between. This is all of it in every order, for a pool of one worker, a
 * reload or two, and as many misfortunes as the numbers below allow.
 *
 * Each process of the real thing is one here: the master (both programs are images of one
 * process), the keeper, the workers, the check child, and the world outside. What they know
 * stands in global variables, and each is one loop of rules "if this, then that". A rule is as
 * much as nobody can look into; between any two of them the world may kill the master.
 *
 * The two programs are 0 and 1, and a reload goes to the other one. A descriptor that two
 * processes hold is two flags. Birth numbers are not counted: the flags of a slot begin anew
 * with each birth, so that what was said of the last worker there is not true of the next.
 *
 * What must hold is in assertions, in the last two processes, and in the formulas at the end;
 * README.md has all of it in words. BREAK_* are mistakes: with any of them something must fail,
 * or this looks away. */

/* How much of everything: -D on the command line. */
#ifndef KEEPER
#define KEEPER 1 /* somebody holds what the master owns, and starts the next one */
#endif
#ifndef CRASHES
#define CRASHES 1 /* of a master, in whatever image and stage */
#endif
#ifndef KILLS
#define KILLS 1 /* of a worker, whatever it does */
#endif
#ifndef CLIENTS
#define CLIENTS 1
#endif
#ifndef REQUESTS
#define REQUESTS 2 /* for a reload, each by somebody who waits for the answer */
#endif
#ifndef TERMS
#define TERMS 1
#endif

#define TURNS 4 /* numbers of states, in a ring: two are in the store, one is on its way */
#define NO_TURN 7

mtype:stage = {
    SERVE, CHECK, TAKEOVER, TRIAL, COMMIT, BACK, ROLLED, STOP, /* it acts */
    DYING, ZOMBIE, REAPED, ENDED                               /* it does not */
};
mtype:life = { VACANT, BORN, STUCK, IDLE, BUSY };
mtype:child = { NOBODY, RUNS, HANGS, AGREES, REFUSES };
mtype:answer = { UNASKED, NEXT, RUNNING, DONE, FAILED, ADRIFT, HUNG_UP };
mtype:word = {
    KEEP_WORKER, FORGET_WORKER, KEEP_PROGRAM, FORGET_PROGRAM, KEEP_STATE, FORGET_STATE,
    STOPPING
};

/* ---- the master -------------------------------------------------------------------------- */

mtype:stage stage = SERVE;
bit image;           /* the program that this process executes */
bool listens = true; /* it holds the listener */
bool channel[3];     /* it holds its end of the worker's channel */
bool again;          /* a reload is wanted */
bool won;            /* how the last one ended */
bool tried;          /* TRIAL: the worker of the new generation was born */
bool term;           /* SIGTERM, not yet taken */

/* What it knows of the store, as it asked for it. */
bool kept[3];
bool kept_program[2];
byte turn = 0;           /* of the state that counts */
byte stale = NO_TURN;    /* of the one before, while that is there */

/* ---- three slots of workers: one serves, one is tried, one may be leaving ------------------ */

mtype:life life[3] = VACANT;
bit program[3]; /* the one it was forked from */
bool asked[3];  /* the request to leave is on its channel */

/* ---- the keeper -------------------------------------------------------------------------- */

chan store = [1] of { mtype:word, byte }; /* what the master sent and the keeper has not read */
bool store_listens;
bool store_channel[3];
bool store_program[2];
byte top = NO_TURN, under = NO_TURN; /* of the states it has: the highest number is on top */
bit state_program[TURNS];
bool state_worker[TURNS * 3];
bool keeper_term; /* SIGTERM, not yet taken */
bool stopping;    /* no master is started any more */

/* ---- the world --------------------------------------------------------------------------- */

mtype:child check = NOBODY;
mtype:answer wait[2] = UNASKED; /* what prefork reload --wait sees */
byte queue;                     /* connections that nobody has taken yet */
byte crashes = CRASHES, kills = KILLS, clients = CLIENTS, requests = REQUESTS, terms = TERMS;

#ifdef BREAK_CHECK_LISTENS
byte check_queue;
#endif

/* What nobody of the above can see, and what is true: the program that was committed last; of
 * each request, whether a reload began after it (1), and was committed (2); and that
 * somebody took a SIGTERM. */
bit good;
byte since[2];
bool told;

/* ---- words ------------------------------------------------------------------------------- */

#define ACTS                                                                               \
    (stage == SERVE || stage == CHECK || stage == TAKEOVER || stage == TRIAL ||            \
     stage == COMMIT || stage == BACK || stage == ROLLED || stage == STOP)
#define any(what) (what(0) || what(1) || what(2))
#define lives(i) (life[i] != VACANT)
#ifdef BREAK_DEAD_ARE_ADOPTED
bool blind;
#define known_alive(i) (lives(i) || blind)
#else
#define known_alive(i) lives(i)
#endif
#define unready(i) (life[i] == BORN || life[i] == STUCK)
#define current(i) (channel[i] && known_alive(i) && program[i] == image && !asked[i])
#define serving(i) (current(i) && lives(i) && !unready(i))
#define outmoded(i) (channel[i] && lives(i) && program[i] != image && !asked[i])
#define staying(i) (channel[i] && lives(i) && !asked[i])
#define dead(i) (channel[i] && !known_alive(i))
#define stuck(i) (channel[i] && life[i] == STUCK)
#define vacant(i) (!lives(i) && !channel[i] && !kept[i] && !store_channel[i])
#define let_go(i) (asked[i] || !(channel[i] || store_channel[i]))
#define unlisted(i) (channel[i] && !state_worker[turn * 3 + i])
#define unkept(i) (channel[i] && !kept[i])
#define forgotten(i) (kept[i] && !channel[i])
#define pending(k) (wait[k] == NEXT || wait[k] == RUNNING)

/* The stages that write the state, whether it is written, and whether all of that is done. */
#define WRITES (KEEPER && nfull(store) && (stage == SERVE || stage == CHECK || stage == COMMIT))
#define WRITTEN (!KEEPER || (!any(unlisted) && state_program[turn] == image))
#define TIDY (!KEEPER || (WRITTEN && stale == NO_TURN && !kept_program[1 - image]))

/* Who is of another program leaves when there is somebody in its place, or because it failed. */
#ifdef BREAK_ASK_BEFORE_READY
#define MAY_ASK (stage == ROLLED || stage == TRIAL || (stage == SERVE && any(serving)))
#else
#define MAY_ASK (stage == ROLLED || (stage == SERVE && any(serving)))
#endif

#ifdef BREAK_BUSY_LEAVES
#define MAY_LEAVE(i) (life[i] == IDLE || life[i] == BUSY)
#else
#define MAY_LEAVE(i) (life[i] == IDLE)
#endif

/* Who else holds the connection of somebody who waits: nobody, unless by a mistake. */
#if defined(BREAK_CHECK_OUTLIVES)
#define COPIES (check != NOBODY)
#elif defined(BREAK_WORKERS_INHERIT_WAITERS)
bool inherited[3];
#define heir(i) (lives(i) && inherited[i])
#define COPIES any(heir)
#else
#define COPIES false
#endif

/* ---- rules that are used more than once -------------------------------------------------- */

inline vacate(i)
{
    life[i] = VACANT;
    asked[i] = false
}

inline bear(i)
{
    life[i] = BORN;
    program[i] = image;
    asked[i] = false;
    channel[i] = true;
    state_worker[i] = false;
    state_worker[3 + i] = false;
    state_worker[6 + i] = false;
    state_worker[9 + i] = false;
#ifdef BREAK_WORKERS_INHERIT_WAITERS
    inherited[i] = wait[0] == RUNNING || wait[1] == RUNNING;
#endif
    tried = stage == TRIAL
}

inline ask(i)
{
    assert(stage == ROLLED || stage == STOP || any(serving)); /* old_stays_until_new_is_ready */
    asked[i] = true
}

inline begin_reload()
{
    again = false;
    check = RUNS;
    stage = CHECK;
    if :: wait[0] == NEXT -> wait[0] = RUNNING; since[0] = 1 :: else fi;
    if :: wait[1] == NEXT -> wait[1] = RUNNING; since[1] = 1 :: else fi
}

inline fail_reload()
{
    check = NOBODY;
    won = false;
    stage = SERVE
}

/* What goes over an execve(2): all of the master's. The mistakes are what does not. */
inline exec()
{
    image = 1 - image;
#ifdef BREAK_EXEC_FORGETS_REQUEST
    again = false;
#endif
#ifdef BREAK_ONE_LIST_OF_WAITERS
    if :: wait[0] == NEXT -> wait[0] = RUNNING :: else fi;
    if :: wait[1] == NEXT -> wait[1] = RUNNING :: else fi;
#endif
#ifdef BREAK_CLOSE_BEFORE_ADOPT
    listens = false;
#endif
    tried = false
}

inline commit()
{
    good = image;
    if :: since[0] == 1 -> since[0] = 2 :: else fi;
    if :: since[1] == 1 -> since[1] = 2 :: else fi
}

inline answer(k)
{
    assert(image == good);              /* answer_is_true */
    assert(since[k] == (won -> 2 : 1)); /* answer_is_to_the_question */
    wait[k] = (won -> DONE : FAILED)
}

inline write_state()
{
    d_step {
        stale = turn;
        turn = (turn + 1) % TURNS;
        state_program[turn] = image;
        state_worker[turn * 3] = channel[0];
        state_worker[turn * 3 + 1] = channel[1];
        state_worker[turn * 3 + 2] = channel[2];
    }
    store!KEEP_STATE, turn;
#ifdef BREAK_TURN_FORGOTTEN
    stale = NO_TURN;
#endif
    if :: stage == COMMIT -> commit() :: else fi
}

inline hang_up(k)
{
    if :: pending(k) -> wait[k] = (COPIES -> ADRIFT : HUNG_UP) :: else fi
}

/* The kernel closes what a dead master had, and kills whoever asked for that. */
inline close_all()
{
    listens = false;
    d_step {
        channel[0] = false; channel[1] = false; channel[2] = false;
        kept[0] = false; kept[1] = false; kept[2] = false;
        kept_program[0] = false; kept_program[1] = false;
        again = false; won = false; tried = false; term = false;
    }
#ifndef BREAK_CHECK_OUTLIVES
    check = NOBODY;
#endif
#ifndef BREAK_BIRTHS_OUTLIVE
    if :: unready(0) -> vacate(0) :: else fi;
    if :: unready(1) -> vacate(1) :: else fi;
    if :: unready(2) -> vacate(2) :: else fi;
#endif
    hang_up(0);
    hang_up(1)
}

/* ---- the master -------------------------------------------------------------------------- */

proctype Master()
{
    byte i;
end:
    do
    /* Births and deaths. */
    :: atomic { (stage == SERVE || stage == CHECK) && !any(current) && any(vacant) ->
           if :: vacant(0) -> bear(0) :: else ->
           if :: vacant(1) -> bear(1) :: else -> bear(2) fi fi }
    :: atomic { stage == TRIAL && !tried && any(vacant) ->
           if :: vacant(0) -> bear(0) :: else ->
           if :: vacant(1) -> bear(1) :: else -> bear(2) fi fi }
    :: atomic { (stage == SERVE || stage == CHECK || stage == TRIAL || stage == STOP) &&
                any(dead) ->
           if :: dead(0) -> channel[0] = false
              :: dead(1) -> channel[1] = false
              :: dead(2) -> channel[2] = false
           fi }
    /* start_timeout */
    :: atomic { (stage == SERVE || stage == CHECK || stage == STOP) && any(stuck) ->
           if :: stuck(0) -> vacate(0)
              :: stuck(1) -> vacate(1)
              :: stuck(2) -> vacate(2)
           fi }

    /* A reload, stage by stage. */
    :: atomic { stage == SERVE && again && TIDY && !any(outmoded) &&
                wait[0] != RUNNING && wait[1] != RUNNING -> begin_reload() }
    :: atomic { stage == CHECK && (check == REFUSES || check == HANGS) -> fail_reload() }
    :: atomic { stage == CHECK && check == AGREES && TIDY ->
           if :: check = NOBODY; exec(); stage = TAKEOVER
              :: fail_reload() /* execve(2) failed */
           fi }
    :: atomic { stage == TAKEOVER -> if :: stage = TRIAL :: stage = BACK fi }
    :: atomic { stage == TRIAL && any(serving) && tried ->
#if KEEPER && !defined(BREAK_DONE_BEFORE_STORED)
           stage = COMMIT }
    :: atomic { stage == COMMIT && WRITTEN ->
#elif !KEEPER
           commit();
#endif
           won = true; tried = false; stage = SERVE }
    :: atomic { stage == TRIAL && tried && !any(serving) -> stage = BACK } /* reload_timeout */
    :: atomic { stage == BACK ->
           if :: exec(); stage = ROLLED
              :: crashes > 0 -> crashes--; stage = DYING /* the old program cannot be executed */
           fi }
    :: atomic { stage == ROLLED && !any(outmoded) -> fail_reload() }

    /* Who should leave. */
    :: atomic { MAY_ASK && any(outmoded) ->
           if :: outmoded(0) -> ask(0)
              :: outmoded(1) -> ask(1)
              :: outmoded(2) -> ask(2)
           fi }

    /* Who waits is told. */
#ifdef BREAK_FAILED_BEFORE_BACK
    :: atomic { stage == BACK && wait[0] == RUNNING -> answer(0) }
#endif
    :: atomic { stage == SERVE && wait[0] == RUNNING -> answer(0) }
    :: atomic { stage == SERVE && wait[1] == RUNNING -> answer(1) }

    /* The store: first what a state names, then the state, and then what it does not name. */
    :: atomic { WRITES && any(unkept) ->
           if :: unkept(0) -> i = 0 :: else -> if :: unkept(1) -> i = 1 :: else -> i = 2 fi fi;
           store!KEEP_WORKER, i; kept[i] = true; i = 0 }
    :: atomic { KEEPER && nfull(store) && ACTS && stage != STOP && any(forgotten) ->
           if :: forgotten(0) -> i = 0 :: else ->
           if :: forgotten(1) -> i = 1 :: else -> i = 2 fi fi;
           store!FORGET_WORKER, i; kept[i] = false; i = 0 }
#if defined(BREAK_ONE_NAME_FOR_PROGRAMS)
    :: atomic { WRITES && !kept_program[image] && kept_program[1 - image] ->
           store!FORGET_PROGRAM, 1 - image; kept_program[1 - image] = false }
    :: atomic { WRITES && !kept_program[image] && !kept_program[1 - image] ->
#else
    :: atomic { WRITES && !kept_program[image] ->
#endif
           store!KEEP_PROGRAM, image; kept_program[image] = true }
#ifdef BREAK_REMOVE_STATE_FIRST
    :: atomic { WRITES && !WRITTEN && !any(unkept) && kept_program[image] && stale == NO_TURN ->
           store!FORGET_STATE, turn; stale = turn }
    :: atomic { WRITES && !WRITTEN && stale == turn -> write_state(); stale = NO_TURN }
#else
    :: atomic { WRITES && !WRITTEN && !any(unkept) && kept_program[image] && stale == NO_TURN ->
           write_state() }
    :: atomic { WRITES && stale != NO_TURN -> store!FORGET_STATE, stale; stale = NO_TURN }
#endif
    :: atomic { WRITES && WRITTEN && stale == NO_TURN && kept_program[1 - image] ->
           store!FORGET_PROGRAM, 1 - image; kept_program[1 - image] = false }

    /* The end. */
    :: atomic { term && (stage == SERVE || stage == CHECK || stage == TRIAL) &&
                (!KEEPER || nfull(store)) ->
           if :: KEEPER -> store!STOPPING, 0 :: else fi;
           told = true; term = false; check = NOBODY; stage = STOP }
    :: atomic { stage == STOP && any(staying) ->
           if :: staying(0) -> ask(0)
              :: staying(1) -> ask(1)
              :: staying(2) -> ask(2)
           fi }
    :: atomic { stage == STOP && !channel[0] && !channel[1] && !channel[2] -> stage = DYING }
    :: atomic { stage == DYING -> close_all(); stage = (KEEPER -> ZOMBIE : ENDED) }
    od
}

/* ---- the keeper -------------------------------------------------------------------------- */

inline start_master()
{
    assert(!ACTS && stage != DYING);             /* one_master */
    assert(!told);                            /* stopped_is_stopped */
    assert(top != NO_TURN);                      /* state_is_there */
    assert(store_program[state_program[top]]);   /* program_is_there */
    d_step {
        image = state_program[top];
        turn = top;
        stale = under;
        listens = store_listens;
        channel[0] = store_channel[0] && state_worker[turn * 3];
        channel[1] = store_channel[1] && state_worker[turn * 3 + 1];
        channel[2] = store_channel[2] && state_worker[turn * 3 + 2];
#ifdef BREAK_STRANGERS_STAY
        kept[0] = channel[0]; kept[1] = channel[1]; kept[2] = channel[2];
#else
        kept[0] = store_channel[0]; kept[1] = store_channel[1]; kept[2] = store_channel[2];
#endif
        kept_program[0] = store_program[0]; kept_program[1] = store_program[1];
        stage = SERVE;
    }
#ifdef BREAK_DEAD_ARE_ADOPTED
    blind = true;
#endif
#ifdef BREAK_KEEPER_GIVES_AWAY
    store_listens = false
#endif
}

proctype Keeper()
{
    byte n;
end:
    do
    :: atomic { store?KEEP_WORKER, n -> store_channel[n] = true; n = 0 }
    :: atomic { store?FORGET_WORKER, n -> store_channel[n] = false; n = 0 }
    :: atomic { store?KEEP_PROGRAM, n -> store_program[n] = true; n = 0 }
    :: atomic { store?FORGET_PROGRAM, n -> store_program[n] = false; n = 0 }
#ifdef BREAK_TURN_FORGOTTEN
    :: atomic { store?KEEP_STATE, n -> under = n; n = 0 }
#else
    :: atomic { store?KEEP_STATE, n -> under = top; top = n; n = 0 }
#endif
    :: atomic { store?FORGET_STATE, n ->
           if :: n == top -> top = under :: else fi;
           under = NO_TURN; n = 0 }
    :: atomic { store?STOPPING, _ -> stopping = true }
    :: atomic { keeper_term ->
           keeper_term = false;
           told = true;
#ifndef BREAK_KEEPER_FORGETS_TERM
           stopping = true;
#endif
           if :: ACTS -> term = true :: else fi }
    :: atomic { stage == ZOMBIE -> stage = REAPED }
#ifdef BREAK_KEEPER_STARTS_BEFORE_REAP
    :: atomic { stage == TAKEOVER && empty(store) && !stopping -> start_master() }
#endif
#ifdef BREAK_KEEPER_STARTS_BEFORE_READING
    :: atomic { stage == REAPED && !stopping -> start_master() }
#else
    :: atomic { stage == REAPED && empty(store) && !stopping -> start_master() }
#endif
#ifdef BREAK_KEEPER_GIVES_AWAY
    :: atomic { ACTS && listens && !store_listens -> store_listens = true }
#endif
    :: atomic { stage == REAPED && empty(store) && stopping ->
           store_listens = false;
           store_channel[0] = false; store_channel[1] = false; store_channel[2] = false;
           stage = ENDED }
    od
}

/* ---- workers ----------------------------------------------------------------------------- */

/* A program that was not committed may do anything before it is ready. */
proctype Worker(byte i)
{
end:
    do
    :: atomic { life[i] == BORN -> life[i] = IDLE }
    :: atomic { life[i] == BORN && program[i] != good -> if :: vacate(i) :: life[i] = STUCK fi }
    :: atomic { life[i] == IDLE && !let_go(i) && queue > 0 -> queue--; life[i] = BUSY }
    :: atomic { MAY_LEAVE(i) && let_go(i) ->
           assert(life[i] != BUSY); /* served_by_who_took_it */
           vacate(i) }
    :: atomic { life[i] == BUSY -> life[i] = IDLE }
    od
}

/* ---- the check child --------------------------------------------------------------------- */

/* That it crashes is a refusal. */
proctype Check()
{
end:
    do
    :: atomic { check == RUNS -> if :: check = AGREES :: check = REFUSES :: check = HANGS fi }
    od
}

/* ---- the world --------------------------------------------------------------------------- */

inline request(k)
{
    wait[k] = NEXT;
    again = true
}

/* It may lose interest at any time: nothing that has to happen waits for it. */
proctype World()
{
    do
    :: atomic { ACTS && crashes > 0 -> crashes--; stage = DYING }
    :: atomic { kills > 0 && any(lives) ->
           kills--;
           if :: lives(0) -> vacate(0) :: lives(1) -> vacate(1) :: lives(2) -> vacate(2) fi }
    :: atomic { clients > 0 && (listens || store_listens || any(lives)) -> clients--; queue++ }
    :: atomic { ACTS && requests > 0 -> requests--; request(requests) }
    :: atomic { terms > 0 && KEEPER -> terms--; keeper_term = true }
    :: atomic { terms > 0 && ACTS -> terms--; term = true }
#ifdef BREAK_CHECK_LISTENS
    /* Of sockets with SO_REUSEPORT the kernel chooses one for each connection. */
    :: atomic { clients > 0 && check != NOBODY -> clients--; check_queue++ }
#endif
    :: break
    od
}

#if defined(BREAK_CHECK_OUTLIVES) || defined(BREAK_WORKERS_INHERIT_WAITERS)
proctype Kernel()
{
end:
    do
    :: atomic { wait[0] == ADRIFT && !COPIES -> wait[0] = HUNG_UP }
    :: atomic { wait[1] == ADRIFT && !COPIES -> wait[1] = HUNG_UP }
    od
}
#endif

/* ---- what must hold ---------------------------------------------------------------------- */

/* In every state. */
proctype Always()
{
end:
    do
    :: atomic { stage != ENDED && !listens && !store_listens && !any(lives) ->
           assert(false) /* somebody_listens */ }
    :: atomic { ACTS && !listens -> assert(false) /* master_listens */ }
    :: atomic { (stage == SERVE || stage == CHECK) && image != good ->
           assert(false) /* good_image_serves */ }
#ifdef BREAK_CHECK_LISTENS
    :: atomic { check_queue > 0 && check == NOBODY ->
           assert(false) /* accepted_by_somebody */ }
#endif
    od
}

#define stray(i) (lives(i) && !channel[i])
#define waiting(k) (pending(k) || wait[k] == ADRIFT)

/* When nothing moves any more. */
proctype Rest()
{
    atomic {
        timeout ->
        assert(stage == SERVE || stage == ENDED);  /* comes_to_rest */
        assert(stage == ENDED || queue == 0);      /* served_in_the_end */
        assert(!waiting(0) && !waiting(1));        /* answered_in_the_end */
        assert(!any(stray));                       /* no_stray_worker */
        assert(stage == ENDED || any(serving));    /* pool_is_there */
        assert(stage == ENDED || !any(outmoded));  /* one_generation */
        assert(stage == ENDED || !told && !stopping && !term) /* term_ends_it */
    }
}

init
{
    atomic {
        life[0] = IDLE;
        channel[0] = true;
        kept[0] = KEEPER;
        kept_program[0] = KEEPER;
        store_listens = KEEPER;
        store_channel[0] = KEEPER;
        store_program[0] = KEEPER;
        state_worker[0] = KEEPER;
        top = (KEEPER -> 0 : NO_TURN);
        run Worker(0);
        run Worker(1);
        run Worker(2);
        run Check();
        run Keeper();
        run Master();
        run World();
        run Always();
#ifndef FORMULAS
        run Rest()
#endif
    }
}

/* The same as formulas, which say it of every moment and not only of the last: under weak
 * fairness, which is that a process that could always go on does. */
#ifdef FORMULAS
#define ENDS (keeper_term || stopping || told || (term && !KEEPER))

ltl served { [] (queue > 0 -> <> (queue == 0 || stage == ENDED)) }
ltl answered {
    [] (waiting(0) -> <> !waiting(0)) && [] (waiting(1) -> <> !waiting(1))
}
ltl ended { [] (ENDS -> <> (stage == ENDED && !any(lives))) }
#endif
