/* SPDX-License-Identifier: Apache-2.0
 *
 * The protocol of mm/epoch.hpp, exhaustively: processors that enter and leave a guest, a lock-free reader of the hypervisor,
 * and a gather that unlinks a frame, advances the generations, asks those inside, and only then gives the frame to somebody else.
 * Claims: nobody uses a frame after it was given away, and nobody waits for ever.
 *
 *   tests/model-checking/run                                    must report 0 errors for the protocol as it is
 *   and with -DNO_GENERATION, -DNO_ASK or -DNO_READERS     must each report an error: the model can fail
 *   -DNO_ANSWER_IN_SPIN                                         must report a deadlock (invalid end state)
 */
#define CPUS 2
#define ROUNDS 2
#define OUTSIDE 255

byte linked = 1;              /* the frame that the entry points to; each round replaces it by the next number */
bool given[ROUNDS + 2];       /* frames that were given away */

byte generation = 1;          /* TagUsers */
bool inside[CPUS];
bool flush_wanted[CPUS];

byte reader_generation = 1;   /* ReadSection */
byte since = OUTSIDE;

bool lock = false;            /* the p2m's lock; a processor that waits for it answers flushes, as arch::relax() does */
byte finished = 0;

inline use(frame) { assert(!given[frame]) }
inline answer(cpu) { tlb = 0; flush_wanted[cpu] = false }

proctype processor(byte cpu) {
  byte tlb = 0;
  byte seen = 0;
  byte rounds = 0;
  do
  :: rounds < 2 ->
     rounds++;
     inside[cpu] = true;                                   /* enter() */
#ifndef NO_GENERATION
     if
     :: seen != generation -> tlb = 0; seen = generation   /* (the second read may only be newer) */
     :: else -> skip
     fi;
#endif
     do                                                    /* in the guest: an IPI comes between two accesses */
     :: flush_wanted[cpu] -> answer(cpu)
     :: tlb == 0 -> tlb = linked; use(tlb)
     :: tlb != 0 -> use(tlb); break
     od;
     inside[cpu] = false;                                  /* leave() */
     do                                                    /* an exit that wants the lock */
     :: atomic { !lock -> lock = true }; lock = false; break
#ifndef NO_ANSWER_IN_SPIN
     :: flush_wanted[cpu] -> answer(cpu)
#endif
     od
  :: else -> break
  od;
  finished++;
end:
  do                                                       /* idle: interrupts are answered */
  :: flush_wanted[cpu] -> answer(cpu)
  od
}

proctype reader() {
  byte frame = 0;
  byte rounds = 0;
  do
  :: rounds < 2 ->
     rounds++;
     since = 0;
     since = reader_generation;
     frame = linked;                                       /* lookup() */
     use(frame);                                           /* ... and what is done with the frame */
     since = OUTSIDE
  :: else -> break
  od
}

proctype gather() {
  byte round = 0;
  byte old, i, now;
  bool ask[CPUS];
  do
  :: round < ROUNDS ->
     atomic { !lock -> lock = true };
     old = linked;
     linked = round + 2;                                   /* unlink, by one exchange */
     generation++;                                         /* TagUsers::flush() */
     d_step { ask[0] = inside[0]; ask[1] = inside[1] };    /* one load of the mask */
#ifdef NO_ASK
     d_step { ask[0] = false; ask[1] = false };
#endif
     i = 0;
     do
     :: i < CPUS ->
        if :: ask[i] -> flush_wanted[i] = true :: else -> skip fi;
        i++
     :: else -> break
     od;
     !flush_wanted[0] && !flush_wanted[1];                 /* wait for the answers */
#ifndef NO_READERS
     reader_generation++;                                  /* ReadSection::wait_for_all() */
     now = reader_generation;
     since >= now;
#endif
     given[old] = true;                                    /* free: from here it is somebody else's */
     lock = false;
     round++
  :: else -> break
  od
}

init {
  atomic {
    run processor(0);
    run processor(1);
    run reader();
    run gather()
  }
}
