/* What is wrong with the machine, as one process sees it: a full disk, a slow or a broken one, a
 * clock that is off. Loaded by LD_PRELOAD into nodes and into PostgreSQL; the file that
 * TORTURE_MACHINE names says what is wrong just now (machine.rs has the same layout). */

#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

struct machine {
    /* Added to the time of day. */
    int64_t clock_ms;
    /* No file may grow any more. */
    int64_t full;
    /* How long each fsync takes besides. */
    int64_t sync_delay_ms;
    /* Each fsync fails. */
    int64_t broken;
    /* How often any of these struck, for the test to see that they did. */
    int64_t struck;
};

static struct machine healthy;
static volatile struct machine *machine = (volatile struct machine *)&healthy;

__attribute__((constructor)) static void begin(void) {
    const char *path = getenv("TORTURE_MACHINE");
    int file = path ? open(path, O_RDWR | O_CLOEXEC) : -1;
    void *there = file < 0
        ? MAP_FAILED
        : mmap(NULL, sizeof(struct machine), PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
    if (file >= 0) close(file);
    if (there != MAP_FAILED) machine = there;
}

static void strike(void) {
    __atomic_add_fetch((int64_t *)&machine->struck, 1, __ATOMIC_RELAXED);
}

#define REAL(name) ({                                                   \
    static __typeof__(name) *real;                                      \
    if (!real) real = (__typeof__(name) *)dlsym(RTLD_NEXT, #name);      \
    real;                                                               \
})

/* How many of these bytes there is room for; -1: as many as there are. */
static ssize_t room(int fd, off64_t at, size_t length) {
    struct stat found;
    if (!machine->full || fd <= 2) return -1;
    int before = errno;
    int known = fstat(fd, &found) == 0 && S_ISREG(found.st_mode);
    errno = before;
    if (!known || at + (off64_t)length <= found.st_size) return -1;
    strike();
    return at < found.st_size ? (ssize_t)(found.st_size - at) : 0;
}

/* Where a write without an offset goes. */
static off64_t place(int fd) {
    if (!machine->full) return 0;
    int before = errno;
    int appends = fcntl(fd, F_GETFL) & O_APPEND;
    off64_t at = lseek64(fd, 0, appends ? SEEK_END : SEEK_CUR);
    errno = before;
    return at < 0 ? 0 : at;
}

static size_t all(const struct iovec *parts, int count) {
    size_t length = 0;
    for (int i = 0; i < count; i++) length += parts[i].iov_len;
    return length;
}

static int no_room(void) {
    errno = ENOSPC;
    return -1;
}

ssize_t write(int fd, const void *bytes, size_t length) {
    ssize_t fits = room(fd, place(fd), length);
    if (fits == 0 && length) return no_room();
    return REAL(write)(fd, bytes, fits < 0 ? length : (size_t)fits);
}

ssize_t pwrite64(int fd, const void *bytes, size_t length, off64_t at) {
    ssize_t fits = room(fd, at, length);
    if (fits == 0 && length) return no_room();
    return REAL(pwrite64)(fd, bytes, fits < 0 ? length : (size_t)fits, at);
}

ssize_t pwrite(int fd, const void *bytes, size_t length, off_t at) {
    return pwrite64(fd, bytes, length, at);
}

ssize_t writev(int fd, const struct iovec *parts, int count) {
    if (room(fd, place(fd), all(parts, count)) >= 0) return no_room();
    return REAL(writev)(fd, parts, count);
}

ssize_t pwritev64(int fd, const struct iovec *parts, int count, off64_t at) {
    if (room(fd, at, all(parts, count)) >= 0) return no_room();
    return REAL(pwritev64)(fd, parts, count, at);
}

ssize_t pwritev(int fd, const struct iovec *parts, int count, off_t at) {
    return pwritev64(fd, parts, count, at);
}

int posix_fallocate64(int fd, off64_t at, off64_t length) {
    if (room(fd, at, (size_t)length) >= 0) return ENOSPC;
    return REAL(posix_fallocate64)(fd, at, length);
}

int posix_fallocate(int fd, off_t at, off_t length) {
    return posix_fallocate64(fd, at, length);
}

int fallocate64(int fd, int mode, off64_t at, off64_t length) {
    if (mode == 0 && room(fd, at, (size_t)length) >= 0) return no_room();
    return REAL(fallocate64)(fd, mode, at, length);
}

int fallocate(int fd, int mode, off_t at, off_t length) {
    return fallocate64(fd, mode, at, length);
}

/* 0: go on. */
static int before_sync(void) {
    int64_t delay = machine->sync_delay_ms;
    if (delay > 0) {
        struct timespec pause = {delay / 1000, (delay % 1000) * 1000000};
        strike();
        while (nanosleep(&pause, &pause) != 0 && errno == EINTR) {
        }
    }
    if (!machine->broken) return 0;
    strike();
    errno = EIO;
    return -1;
}

int fsync(int fd) {
    return before_sync() ? -1 : REAL(fsync)(fd);
}

int fdatasync(int fd) {
    return before_sync() ? -1 : REAL(fdatasync)(fd);
}

static void move(struct timespec *now) {
    int64_t off = machine->clock_ms;
    if (off == 0) return;
    strike();
    int64_t ns = now->tv_nsec + (off % 1000) * 1000000;
    now->tv_sec += off / 1000 + (ns < 0 ? -1 : ns / 1000000000);
    now->tv_nsec = ns < 0 ? ns + 1000000000 : ns % 1000000000;
}

int clock_gettime(clockid_t clock, struct timespec *now) {
    int failed = REAL(clock_gettime)(clock, now);
    if (!failed && (clock == CLOCK_REALTIME || clock == CLOCK_REALTIME_COARSE)) move(now);
    return failed;
}

int gettimeofday(struct timeval *restrict now, void *restrict zone) {
    int failed = REAL(gettimeofday)(now, zone);
    if (!failed && now) {
        struct timespec moved = {now->tv_sec, now->tv_usec * 1000};
        move(&moved);
        now->tv_sec = moved.tv_sec;
        now->tv_usec = moved.tv_nsec / 1000;
    }
    return failed;
}

time_t time(time_t *out) {
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    if (out) *out = now.tv_sec;
    return now.tv_sec;
}
