/* Raw records, mirrored by kestrel_lab/capture/records.py (sizes are asserted against it at compile time).
 *
 * Every ring holds records of one size. Reserved memory is not zeroed: bytes past a string's length are whatever
 * an earlier record left there, and user space masks them before it looks at them.
 */

enum source { SRC_FORK, SRC_EXIT, SRC_EXEC0, SRC_EXEC1, SRC_EXEC2, SRC_FILE0, SRC_FILE1, SRC_NET, SRC_SOCKET, SRC_ACT,
              SRC_SIGNAL, SRC_DIRTY0, SRC_DIRTY1, SRC_DATAGRAM, SRC_CGROUP0,
              SRC_CGROUP1, SRC_IO0, SRC_IO1, SRC_IO_NET, SRC_RECORDER, SOURCES };

/* Action codes of the field table. */
enum action {
    ACT_FORK = 1, ACT_EXEC = 2, ACT_END = 3,
    ACT_CREATION = 10, ACT_OPEN = 11, ACT_RENAME = 12, ACT_DELETION = 13, ACT_SETXATTR = 16, ACT_LINK = 18,
    ACT_SYMLINK = 19, ACT_TRUNCATE = 42,
    ACT_ATTEMPT = 20, ACT_RESULT = 21, ACT_ACCEPT = 22, ACT_UNIX_CONNECT = 23, ACT_BIND = 24, ACT_LISTEN = 25,
    ACT_DATAGRAM = 26, ACT_DISCONNECT = 27, ACT_RAW_SOCKET = 28, ACT_LOOKUP = 29,
    ACT_UID = 30, ACT_GID = 31, ACT_SESSION = 32, ACT_PTRACE = 33, ACT_KILL = 34, ACT_MEMFD = 35, ACT_NAME = 36,
    ACT_MEMORY = 37, ACT_VM_WRITE = 38, ACT_PIDFD_GETFD = 39, ACT_UNSHARE = 40, ACT_SETNS = 41,
    ACT_OPEN_READ = 43, ACT_EXEC_FAILED = 44, ACT_BPF_LOAD = 45, ACT_MODIFICATION = 46, ACT_CLOCK = 53, ACT_IO_URING = 54, ACT_CGROUP = 55,
    ACT_EXISTING_SOCKET = 57, ACT_EXISTING_BPF = 60,
};

#define FLAG_TRUNCATED_PATH 2
#define FLAG_TRUNCATED_ARGS 4
#define FLAG_RACED 8
#define FLAG_TRUNCATED_ENV 32

/* Who acted: the process by (tgid, start, exec_seq), and its credentials. */
struct who {
    u64 start;           /* group leader's start_boottime, ns */
    u32 tgid, tid;
    u32 exec_seq;        /* self_exec_id */
    u32 ruid, rgid, suid, sgid, euid, egid;
    u32 unwanted;        /* of who is kept for later: a filter takes away what is done */
    u64 permitted, effective;        /* capabilities */
    char comm[16];
};

enum namespace { NS_MNT, NS_PID, NS_NET, NS_USER, NS_UTS, NS_IPC, NS_CGROUP, NS_TIME, NAMESPACES };

/* Where a process stands among others, when its image begins. Pids are those of the initial namespace. */
struct standing {
    u64 real_start;      /* real_parent */
    u32 real_tgid, real_exec_seq;
    u32 pgid, sid, vpid; /* vpid: in its own pid namespace; 0: not known */
    u32 login_uid, audit_session;
    u32 tty;             /* device of the controlling terminal, 0: none */
    u32 devices[3];      /* of descriptors 0, 1, 2, if they are devices */
    u16 modes[3];        /* their file types, and 1; 0: closed */
    u16 unused;
    u32 namespaces[NAMESPACES];      /* inode numbers; 0: not known */
    u32 unused2;
    u64 cgroup, cgroup1; /* ids: in the v2 hierarchy, and in that of pids where it is another */
};

struct head {
    u64 ts;              /* bpf_ktime_get_boot_ns */
    u64 seq;             /* per (cpu, source), from 1, taken after the filter and before the reserve */
    u16 version, source, action, cpu;
    u32 flags;
    u32 unused;
    struct who who;
};

struct proc_rec {        /* fork: who = the child; exit: who = the process that ended */
    struct head head;
    struct standing standing;        /* fork */
    u64 creator_start;
    u32 creator_tgid, creator_exec_seq;
    u32 status;          /* as wait() gives it */
    u32 unused;
};

struct exec_head {
    struct head head;
    struct standing standing;
    u64 inode, changed;  /* of the executable; when it was changed last, s since 1970 */
    u32 changed_ns, device, links;
    u32 args_size;       /* arg_end - arg_start */
    u32 env_size;        /* env_end - env_start, if it is asked for */
    u32 args_len;        /* bytes of both that follow */
    u8 peer[16];         /* of the socket that descriptor 0 is */
    u16 peer_port, peer_family;
    u16 mode, secure;    /* of the executable; whether the exec gave rights */
    u16 exe_len, cwd_len, filename_len, interp_len;
};

#define EXEC_TEXT0 768   /* exe, cwd, filename and interpreter, back to back */
#define EXEC_TEXT 12800
#define EXEC_ARGS0 512
#define EXEC_ARGS1 4096
#define EXEC_ARGS2 37888

struct exec0_rec { struct exec_head exec; char args[EXEC_ARGS0]; char text[EXEC_TEXT0]; };
struct exec1_rec { struct exec_head exec; char args[EXEC_ARGS1]; char text[EXEC_TEXT]; };
struct exec2_rec { struct exec_head exec; char args[EXEC_ARGS2]; char text[EXEC_TEXT]; };

struct file_head {
    struct head head;
    u64 inode;
    u64 numbers[2];      /* arguments: mode, size, user and group */
    u32 dev, open_flags;
    u32 present;         /* what of these holds */
    s32 ret;             /* 0 or a negative errno */
    u16 lens[4];         /* what was reached: path; else directory and name, once or twice; a text has no directory */
};

#define FILE_HAS_INODE 1         /* and device */
#define FILE_HAS_FLAGS 2
#define FILE_HAS_FIRST 4
#define FILE_HAS_SECOND 8

#define FILE_TEXT0 256
#define FILE_TEXT1 16384

struct file0_rec { struct file_head file; char text[FILE_TEXT0]; };
struct file1_rec { struct file_head file; char text[FILE_TEXT1]; };

#define NET_TEXT 256
#define NET_RET_UNKNOWN 1
#define NET_INWARD 1
#define NET_HAS_BYTES 2
#define NET_HAS_LOCAL 4
#define NET_HAS_REMOTE 8
#define NET_HAS_DURATION 16

struct net_rec {
    struct head head;
    u8 local[16], remote[16];
    u64 received, sent, duration;    /* of a connection: bytes, ns */
    u32 netns;
    s32 ret;             /* 0 or a negative errno, or: */
    u16 local_port, remote_port, family, type, protocol, present;
    u32 state;           /* as the kernel numbers those of TCP; of what was there already */
    u16 lens[4];         /* the first is of the text: a name of the same machine, or a question to a name server */
    char text[NET_TEXT];
};

#define ACT_TEXT 256
#define ACT_HAS_IDS 1
#define ACT_HAS_TARGET 2
#define ACT_HAS_TIME 8           /* args: clock, seconds, ns */
#define ACT_PID_IS_GLOBAL 4      /* target_pid is of the initial namespace, not of the caller's */

struct act_rec {
    struct head head;
    s64 ret;
    u64 args[4];         /* of the call; args[0] of mmap is the address it gave */
    u32 ids[6];          /* uid, gid, suid, sgid, euid, egid before the act */
    u64 target_start;    /* whom the act is about */
    u32 target_tgid, target_exec_seq;
    u32 target_pid;      /* as given, where no more is known */
    u16 text_len, present;
    char text[ACT_TEXT];
};

struct task_row {        /* one process of the start state */
    struct who who;
    struct standing standing;
};

_Static_assert(sizeof(struct proc_rec) == SIZE_PROC, "proc_rec");
_Static_assert(sizeof(struct exec0_rec) == SIZE_EXEC0, "exec0_rec");
_Static_assert(sizeof(struct exec1_rec) == SIZE_EXEC1, "exec1_rec");
_Static_assert(sizeof(struct exec2_rec) == SIZE_EXEC2, "exec2_rec");
_Static_assert(sizeof(struct file0_rec) == SIZE_FILE0, "file0_rec");
_Static_assert(sizeof(struct file1_rec) == SIZE_FILE1, "file1_rec");
_Static_assert(sizeof(struct net_rec) == SIZE_NET, "net_rec");
_Static_assert(sizeof(struct act_rec) == SIZE_ACT, "act_rec");
_Static_assert(sizeof(struct task_row) == SIZE_TASK, "task_row");
