// Twelve threads that map, fill, sum, protect, grow, drop and unmap memory in one address space,
// and all write into one region that they share.
#define _GNU_SOURCE
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>

enum { THREADS = 12, ROUNDS = 500, PAGE = 4096, SHARED_PAGES = 4096 };

static unsigned char *shared;

static uint32_t next(uint32_t *state) {
    uint32_t x = *state;
    x ^= x << 13;
    x ^= x >> 17;
    x ^= x << 5;
    return *state = x;
}

static void check(int good, const char *what) {
    if (!good) {
        perror(what);
        exit(1);
    }
}

// What the memory is for: it is filled, and what is in it is used.
static void fill(unsigned char *page, uint32_t *state) {
    uint32_t *words = (uint32_t *)page;
    for (size_t i = 0; i < PAGE / sizeof *words; i++) {
        words[i] = next(state);
    }
}

static uint32_t sum(const unsigned char *page) {
    const uint32_t *words = (const uint32_t *)page;
    uint32_t hash = 2166136261u;
    for (size_t i = 0; i < PAGE / sizeof *words; i++) {
        hash = (hash ^ words[i]) * 16777619u;
    }
    return hash;
}

static void round_of(uint32_t *state) {
    size_t pages = 4 + next(state) % 60;
    uint32_t total = 0;
    unsigned char *area = mmap(NULL, pages * PAGE, PROT_READ | PROT_WRITE,
                               MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    check(area != MAP_FAILED, "mmap");
    for (size_t page = 0; page < pages; page += 1 + next(state) % 4) {
        fill(area + page * PAGE, state);
        total += sum(area + page * PAGE);
    }
    switch (next(state) % 4) {
    case 0:
        check(mprotect(area, 2 * PAGE, PROT_READ) == 0, "mprotect");
        break;
    case 1:
        area = mremap(area, pages * PAGE, 2 * pages * PAGE, MREMAP_MAYMOVE);
        check(area != MAP_FAILED, "mremap");
        area[(2 * pages - 1) * PAGE] = 1;
        pages *= 2;
        break;
    case 2:
        check(madvise(area + PAGE, 2 * PAGE, MADV_DONTNEED) == 0, "madvise");
        area[PAGE] = 1;
        break;
    default:
        check(munmap(area + PAGE, PAGE) == 0, "munmap of a hole");
        break;
    }
    shared[next(state) % SHARED_PAGES * PAGE] += total;
    check(munmap(area, pages * PAGE) == 0, "munmap");
}

static void *run(void *seed) {
    uint32_t state = (uint32_t)(uintptr_t)seed;
    for (int i = 0; i < ROUNDS; i++) {
        round_of(&state);
    }
    return NULL;
}

int main(void) {
    pthread_t threads[THREADS];
    shared = mmap(NULL, (size_t)SHARED_PAGES * PAGE, PROT_READ | PROT_WRITE,
                  MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    check(shared != MAP_FAILED, "mmap");
    for (uintptr_t i = 0; i < THREADS; i++) {
        check(pthread_create(&threads[i], NULL, run, (void *)(i * 7919 + 1)) == 0, "pthread_create");
    }
    for (int i = 0; i < THREADS; i++) {
        pthread_join(threads[i], NULL);
    }
    return 0;
}
