/* System calls: what their numbers mean, their arguments, and what was read at their entry. */

/* What a system call number means: low half for 64-bit calls, high half for 32-bit ones. 0: not ours. */
enum op { OP_OPEN = 1, OP_CREAT, OP_OPENAT, OP_OPENAT2, OP_ACCEPT, OP_SOCKETCALL,
          OP_UID = 8, OP_GID, OP_SETSID, OP_PTRACE, OP_MEMFD, OP_PRCTL, OP_MPROTECT, OP_MMAP, OP_VM_WRITE,
          OP_PIDFD_GETFD, OP_UNSHARE, OP_SETNS, OP_EXEC, OP_EXECAT, OP_BPF, OP_CLOCK, OP_CLOCK32, OP_TIMEOFDAY,
          OP_TIMEOFDAY32, OP_STIME32, OP_CLOCK_ADJUST, OP_ADJUST, OP_IO_URING,
          OP_SOCKET, OP_BIND, OP_CONNECT, OP_LISTEN,
          OP_NAMED = 48, OPS = 96 };     /* from OP_NAMED on: calls that name files */
BPF_ARRAY(dispatch, u32, 512);

/* Which argument of a call is what; of calls that open files and of those that name some. */
#define NO_ARGUMENT 255
struct named_call {
    u8 action, text_at;  /* text_at: whether the text stands before the name (0) or behind it (1) */
    u8 dirfd[2], path[2];
    u8 fd;               /* the file itself, where there is no name, or a null one; dirfd[0] is the same */
    u8 text;             /* a string that names no file here */
    u8 number[2];
    u8 type;             /* a second text, of a file system's type; follows the text, after a 0 byte */
    u8 failed;           /* whether failed calls are told of */
    u8 detached;         /* dirfd[0] may be a mount that has no place yet: its device and type are the text */
    u8 unused[3];
};
BPF_ARRAY(named_calls, struct named_call, OPS);

/* What a call is, at its exit. */
struct ended_call { u64 regs, task; u32 op, compat; };

/* Names as given, and ids, read at entry. A slot is a thread's for the length of one call; `owner` tells if another
 * thread has taken it. */
#define SLOTS 256
struct name_slot {
    u64 owner;
    u64 base[2];
    u32 dir_len[2], name_len[2];
    u32 flags, which;    /* which of the names is being read */
    u32 ids[6];
    char dir[2][4096];
    char name[2][4096];
};
BPF_ARRAY(slots, struct name_slot, SLOTS);

#define OP_OF(entry, compat) ((compat) ? (entry) >> 16 : (entry) & 0xffff)

static __always_inline u32 is_compat(u64 task) {
#ifdef OFF_TI_STATUS
    u32 status = 0;
    READ(status, task + OFF_TI_STATUS);
    return status & 2;   /* TS_COMPAT */
#else
    return 0;
#endif
}

static __always_inline void read_args(u64 regs, u32 compat, u64 a[4]) {
    if (compat) {
        READ(a[0], regs + OFF_R_BX);
        READ(a[1], regs + OFF_R_CX);
        READ(a[2], regs + OFF_R_DX);
        READ(a[3], regs + OFF_R_SI);
        a[0] = (u32)a[0];
        a[1] = (u32)a[1];
        a[2] = (u32)a[2];
        a[3] = (u32)a[3];
    } else {
        READ(a[0], regs + OFF_R_DI);
        READ(a[1], regs + OFF_R_SI);
        READ(a[2], regs + OFF_R_DX);
        READ(a[3], regs + OFF_R_R10);
    }
}
