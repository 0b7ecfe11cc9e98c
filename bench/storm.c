// Opens existing files for writing and closes them: storm DIR FILES COUNT RATE FRESH
// Of a thousand opens FRESH are of a name that was never used, and fail.
// Waits for a line on stdin, then does COUNT acts, RATE a second (0: as fast as it goes), and prints the ns they took.
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

static long long now(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return t.tv_sec * 1000000000LL + t.tv_nsec;
}

int main(int argc, char **argv) {
  if (argc != 6) return 2;
  long files = atol(argv[2]), count = atol(argv[3]), rate = atol(argv[4]), fresh = atol(argv[5]);
  char path[4096], line[8];
  if (!fgets(line, sizeof line, stdin)) return 1;
  long long start = now();
  for (long i = 0; i < count; i++) {
    if (rate && i % 50 == 0) {
      long long due = start + i * 1000000000LL / rate, wait = due - now();
      if (wait > 0) nanosleep(&(struct timespec){wait / 1000000000LL, wait % 1000000000LL}, NULL);
    }
    int new = i * 7 % 1000 < fresh;
    snprintf(path, sizeof path, new ? "%s/fresh-%ld.dat" : "%s/file-%ld.dat", argv[1], new ? i : i % files);
    int fd = open(path, O_WRONLY);
    if ((fd < 0) != new) return 3;
    if (!new) close(fd);
  }
  printf("%lld\n", now() - start);
  return 0;
}
