// Does one act again and again: acts exec|connect SECONDS
// Waits for a line on stdin, then acts for so long and prints how often.
#include <arpa/inet.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

extern char **environ;

static double now(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return t.tv_sec + t.tv_nsec / 1e9;
}

static int spawn_once(void) {
  char *argv[] = {"true", "storm", NULL};
  pid_t pid;
  int status;
  if (posix_spawn(&pid, "/bin/true", NULL, NULL, argv, environ)) return 1;
  return waitpid(pid, &status, 0) != pid || status;
}

static int server;
static struct sockaddr_in address;

static void serve(void) {
  socklen_t size = sizeof address;
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  server = socket(AF_INET, SOCK_STREAM, 0);
  if (bind(server, (struct sockaddr *)&address, size) || listen(server, 128)) exit(3);
  getsockname(server, (struct sockaddr *)&address, &size);
}

static int connect_once(void) {
  struct linger none = {1, 0};  // no TIME_WAIT: ports would run out
  int client = socket(AF_INET, SOCK_STREAM, 0), peer;
  setsockopt(client, SOL_SOCKET, SO_LINGER, &none, sizeof none);
  if (connect(client, (struct sockaddr *)&address, sizeof address)) return 1;
  peer = accept(server, NULL, NULL);
  if (peer < 0) return 1;
  close(client);
  close(peer);
  return 0;
}

int main(int argc, char **argv) {
  char line[8];
  long count = 0;
  if (argc != 3) return 2;
  int connects = !strcmp(argv[1], "connect");
  if (connects) serve();
  if (!fgets(line, sizeof line, stdin)) return 1;
  double ends = now() + atof(argv[2]);
  while (now() < ends) {
    if (connects ? connect_once() : spawn_once()) return 4;
    count++;
  }
  printf("%ld\n", count);
  return 0;
}
