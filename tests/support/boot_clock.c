// SPDX-License-Identifier: MIT
// Loaded in front of a test's child: its CLOCK_BOOTTIME is moved by what it asks for, as that of a
// machine that slept, while its monotonic clock, by which threads wait, goes on as it was.
#include <stdatomic.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

static _Atomic long long moved;

void move_boot_time(long long nanoseconds) { atomic_fetch_add(&moved, nanoseconds); }

int clock_gettime(clockid_t id, struct timespec* time) {
  const int result = (int)syscall(SYS_clock_gettime, id, time);
  if (result != 0 || id != CLOCK_BOOTTIME) return result;
  const long long second = 1000000000;
  const long long all = time->tv_sec * second + time->tv_nsec + atomic_load(&moved);
  time->tv_sec = all / second;
  time->tv_nsec = all % second;
  return 0;
}
