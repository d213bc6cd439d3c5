/* SPDX-License-Identifier: Apache-2.0
 *
 * The protocol of mm/epoch.hpp, exhaustively: processors that enter and leave a guest, a lock-free reader of the hypervisor,
 * and a gather that unlinks a frame, advances the generations, asks those inside, and only then gives the frame to somebody else.
 * Claims: nobody uses a frame after it was given away, and nobody waits for ever.
 *
 * `frame` stands for whatever an unlinked entry led to, a table or memory; `tlb` for a translation or for a pointer to a lower table:
 * a walk through a table that was given away is as bad as an access to memory that was. Interleaving is sequentially consistent, which
 * is what mm/epoch.hpp asks of the processor with memory_order_seq_cst. The statements stand in the order of the C++.
 *
 * tests/model-checking/run checks it as it is (no error), and with each of these holes cut into it (an error each):
 *   missing: NO_GENERATION NO_ASK NO_READERS NO_ANSWER_IN_SPIN (the last is a deadlock: an invalid end state)
 *   in the wrong order: ENTER_LOOKS_FIRST READER_LOOKS_FIRST ASK_BEFORE_GENERATION FREE_BEFORE_FLUSH FLUSH_BEFORE_UNLINK
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
  byte seen = 0, now;
  byte rounds = 0;
  do
  :: rounds < 2 ->
     rounds++;
#ifdef ENTER_LOOKS_FIRST
     now = generation;
     inside[cpu] = true;
#else
     inside[cpu] = true;                                   /* enter() */
     now = generation;
#endif
#ifndef NO_GENERATION
     if
     :: seen != now -> tlb = 0; seen = now
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
  byte frame = 0, now;
  byte rounds = 0;
  do
  :: rounds < 2 ->
     rounds++;
#ifdef READER_LOOKS_FIRST
     frame = linked;
#endif
     since = 0;                                            /* sequentially consistent; the next store may be late: until then 0 is seen */
     now = reader_generation;
     since = now;
#ifndef READER_LOOKS_FIRST
     frame = linked;                                       /* lookup() */
#endif
     use(frame);                                           /* ... and what is done with the frame */
     since = OUTSIDE
  :: else -> break
  od
}

inline unlink() { linked = round + 2 }                     /* by one exchange */
inline look_inside() { d_step { ask[0] = inside[0]; ask[1] = inside[1] } }  /* one load of the mask */

proctype gather() {
  byte round = 0;
  byte old, i, now;
  bool ask[CPUS];
  do
  :: round < ROUNDS ->
     atomic { !lock -> lock = true };
     old = linked;
#ifndef FLUSH_BEFORE_UNLINK
     unlink();
#endif
#ifdef FREE_BEFORE_FLUSH
     given[old] = true;
#endif
#ifdef ASK_BEFORE_GENERATION
     look_inside();
     generation++;
#else
     generation++;                                         /* TagUsers::flush() */
     look_inside();
#endif
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
#ifdef FLUSH_BEFORE_UNLINK
     unlink();
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
