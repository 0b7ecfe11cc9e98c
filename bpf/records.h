/* Raw records, mirrored by kestrel_lab/capture/records.py (sizes are asserted against it at compile time).
 *
 * Every ring holds records of one size. Reserved memory is not zeroed: bytes past a string's length are whatever
 * an earlier record left there, and user space masks them before it looks at them.
 */

enum source { SRC_FORK, SRC_EXIT, SRC_EXEC0, SRC_EXEC1, SRC_EXEC2, SRC_FILE0, SRC_FILE1, SRC_NET, SRC_ACCEPT, SOURCES };

/* Action codes of the field table. */
enum action {
    ACT_FORK = 1, ACT_EXEC = 2, ACT_END = 3,
    ACT_CREATION = 10, ACT_OPEN = 11, ACT_RENAME = 12, ACT_DELETION = 13,
    ACT_ATTEMPT = 20, ACT_RESULT = 21, ACT_ACCEPT = 22,
};

#define FLAG_TRUNCATED_PATH 2
#define FLAG_TRUNCATED_ARGS 4
#define FLAG_RACED 8

/* Who acted: the process by (tgid, start, exec_seq), and its credentials. */
struct who {
    u64 start;           /* group leader's start_boottime, ns */
    u32 tgid, tid;
    u32 exec_seq;        /* self_exec_id */
    u32 ruid, rgid, euid, egid;
    u32 unused;
    char comm[16];
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
    u64 creator_start;
    u32 creator_tgid, creator_exec_seq;
    u32 status;          /* as wait() gives it */
    u32 unused;
};

struct exec_head {
    struct head head;
    u64 creator_start;   /* real_parent now: used only where the fork was not seen */
    u32 creator_tgid, creator_exec_seq;
    u32 args_size;       /* arg_end - arg_start */
    u32 args_len;        /* bytes of it that follow */
    u16 exe_len, cwd_len, filename_len, unused;
};

#define EXEC_TEXT0 768   /* exe, cwd and filename, back to back */
#define EXEC_TEXT 12288
#define EXEC_ARGS0 512
#define EXEC_ARGS1 4096
#define EXEC_ARGS2 37888

struct exec0_rec { struct exec_head exec; char args[EXEC_ARGS0]; char text[EXEC_TEXT0]; };
struct exec1_rec { struct exec_head exec; char args[EXEC_ARGS1]; char text[EXEC_TEXT]; };
struct exec2_rec { struct exec_head exec; char args[EXEC_ARGS2]; char text[EXEC_TEXT]; };

struct file_head {
    struct head head;
    u64 inode;
    u32 dev, open_flags;
    u32 present;         /* 1: inode, dev and open_flags hold */
    u32 unused;
    u16 lens[4];         /* open: path; deletion: directory, name; rename: old directory, name, new directory, name */
};

#define FILE_TEXT0 256
#define FILE_TEXT1 16384

struct file0_rec { struct file_head file; char text[FILE_TEXT0]; };
struct file1_rec { struct file_head file; char text[FILE_TEXT1]; };

struct net_rec {
    struct head head;
    u8 local[16], remote[16];
    u16 local_port, remote_port, family, unused;
    s32 ret;             /* 0 or a negative errno; 1: not known */
    u32 unused2;
};

struct task_row {        /* one process of the start state */
    u64 start, parent_start;
    u32 tgid, parent_tgid, exec_seq, parent_exec_seq;
    char comm[16];
};

_Static_assert(sizeof(struct proc_rec) == SIZE_PROC, "proc_rec");
_Static_assert(sizeof(struct exec0_rec) == SIZE_EXEC0, "exec0_rec");
_Static_assert(sizeof(struct exec1_rec) == SIZE_EXEC1, "exec1_rec");
_Static_assert(sizeof(struct exec2_rec) == SIZE_EXEC2, "exec2_rec");
_Static_assert(sizeof(struct file0_rec) == SIZE_FILE0, "file0_rec");
_Static_assert(sizeof(struct file1_rec) == SIZE_FILE1, "file1_rec");
_Static_assert(sizeof(struct net_rec) == SIZE_NET, "net_rec");
_Static_assert(sizeof(struct task_row) == SIZE_TASK, "task_row");
