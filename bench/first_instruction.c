/* Write the time at which this program began, a struct timespec of CLOCK_MONOTONIC, and end.
   It has no library, whose own start would count. */
#include <sys/syscall.h>
#include <time.h>

static void call(long number, long first, long second, long third)
{
#if defined(__x86_64__)
    __asm__ volatile("syscall"
                     : "+a"(number)
                     : "D"(first), "S"(second), "d"(third)
                     : "rcx", "r11", "memory");
#elif defined(__aarch64__)
    register long x8 __asm__("x8") = number;
    register long x0 __asm__("x0") = first;
    register long x1 __asm__("x1") = second;
    register long x2 __asm__("x2") = third;
    __asm__ volatile("svc 0" : "+r"(x0) : "r"(x8), "r"(x1), "r"(x2) : "memory");
#endif
}

void _start(void)
{
    struct timespec now;
    call(SYS_clock_gettime, CLOCK_MONOTONIC, (long)&now, 0);
    call(SYS_write, 1, (long)&now, sizeof now);
    call(SYS_exit_group, 0, 0, 0);
}
