/* What processes do to themselves and to one another: ids, sessions, names, memory, namespaces, tracing, signals. */

static __always_inline void read_user_ids(u32 ids[6], u64 task) {
    u64 cred = 0;
    READ(cred, task + OFF_CRED);
    bpf_probe_read_kernel(ids, 24, (void *)(cred + OFF_UID));
}

static __always_inline struct act_rec *reserve_act(void) {
    return ring_act.ringbuf_reserve(sizeof(struct act_rec));
}

/* Fill everything but text, arguments and target with what holds for most acts. */
static __always_inline struct act_rec *begin_act(int source, u32 action, u64 task) {
    struct counts *c = counts_of(source);
    struct act_rec *r;
    u64 seq, ts;
    if (!c)
        return 0;
    seq = next_seq(c);
    ts = bpf_ktime_get_boot_ns();
    r = reserve_act();
    if (!r) {
        c->lost++;
        return 0;
    }
    fill_place(&r->head, source, action, ts, seq);
    fill_who(&r->head.who, task);
    __builtin_memset(r->ids, 0, sizeof(r->ids));
    __builtin_memset(r->args, 0, sizeof(r->args));
    r->ret = 0;
    r->target_start = 0;
    r->target_tgid = 0;
    r->target_exec_seq = 0;
    r->target_pid = 0;
    r->text_len = 0;
    r->present = 0;
    return r;
}

static __always_inline void set_target(struct act_rec *r, u64 task) {
    read_identity(task, &r->target_start, &r->target_tgid, &r->target_exec_seq);
    r->present |= ACT_HAS_TARGET;
}

/* The number of a thread in the namespace of another. */
static __always_inline u32 pid_as_seen_by(u64 task, u64 viewer) {
    u32 nr = 0;
#ifdef OFF_SIGNAL_PIDS
    u64 pid = 0, own = 0;
    u32 level = 0;
    READ(own, viewer + OFF_THREAD_PID);
    READ(pid, task + OFF_THREAD_PID);
    if (!own || !pid)
        return 0;
    READ(level, own + OFF_PID_LEVEL);
    nr = number_at(pid, level);
#endif
    return nr;
}

/* Whom ptrace is about: the tracer for TRACEME, else the tracee of that number; the newest one comes first. */
static __always_inline void traced(struct act_rec *r, u64 task, u64 request, u32 pid) {
    u64 entry = 0, head = task + OFF_PTRACED;
    if (request == 0) {
        u64 parent = 0;
        READ(parent, task + OFF_REAL_PARENT);
        set_target(r, parent);
        return;
    }
    READ(entry, head);
#pragma unroll
    for (int i = 0; i < 8; i++) {
        u64 tracee = entry - OFF_PTRACE_ENTRY;
        if (!entry || entry == head)
            return;
        if (pid_as_seen_by(tracee, task) == pid) {
            set_target(r, tracee);
            return;
        }
        READ(entry, entry);
    }
}

/* The process that a pidfd is about: since 6.14 it hangs at the inode, before at the file. */
static __always_inline u32 pid_of_pidfd(u64 task, u32 fd) {
    u64 file = file_of(task, fd), inode = 0, pid = 0;
    if (!file)
        return 0;
    READ(pid, file + OFF_PRIVATE_DATA);
    if (!pid) {
        READ(inode, file + OFF_F_INODE);
        READ(pid, inode + OFF_I_PRIVATE);
    }
    return number_of(pid);
}

/* Whether a call is one of those that matter; most mmaps and prctls are not. Failed ones matter where they tell. */
static __always_inline u32 action_of(u32 op, u64 a[4], long ret) {
    u32 prot = a[2], request = a[0];
    switch (op) {
    case OP_UID: return ACT_UID;
    case OP_GID: return ACT_GID;
    case OP_SETSID: return ACT_SESSION;
    case OP_PTRACE:
        return request == 0 || request == 4 || request == 5 || request == 13 || request == 16 || request == 0x4205 ||
               request == 0x4206 ? ACT_PTRACE : 0;
    case OP_MEMFD: return ACT_MEMFD;
    case OP_PRCTL: return request == 15 && ret == 0 ? ACT_NAME : 0;
    case OP_MPROTECT: return prot & 4 && ret == 0 ? ACT_MEMORY : 0;
    case OP_MMAP: return prot & 4 && (prot & 2 || a[3] & 0x20) && (ret > 0 || ret < -4095) ? ACT_MEMORY : 0;
    case OP_VM_WRITE: return ACT_VM_WRITE;
    case OP_PIDFD_GETFD: return ACT_PIDFD_GETFD;
    case OP_UNSHARE: return ACT_UNSHARE;
    case OP_SETNS: return ACT_SETNS;
    case OP_EXEC:
    case OP_EXECAT: return ret < 0 ? ACT_EXEC_FAILED : 0;
    case OP_BPF: return request == 5 ? ACT_BPF_LOAD : 0;     /* BPF_PROG_LOAD */
    case OP_CLOCK:
    case OP_CLOCK32:
    case OP_CLOCK_ADJUST: return a[1] ? ACT_CLOCK : 0;
    case OP_TIMEOFDAY:
    case OP_TIMEOFDAY32:
    case OP_STIME32:
    case OP_ADJUST: return a[0] ? ACT_CLOCK : 0;
    case OP_IO_URING: return ACT_IO_URING;
    }
    return 0;
}

static __always_inline void read_text(struct act_rec *r, u64 user, u32 most) {
    long len = most == 16 ? bpf_probe_read_user_str(r->text, 16, (void *)user)
                          : bpf_probe_read_user_str(r->text, ACT_TEXT, (void *)user);
    r->text_len = len > 0 ? len - 1 : 0;
    if (len == ACT_TEXT)
        r->head.flags |= FLAG_TRUNCATED_PATH;
}

/* A BPF program's type and name: union bpf_attr of BPF_PROG_LOAD. */
static __always_inline void read_bpf(struct act_rec *r, u64 attr) {
    u32 type = 0;
    bpf_probe_read_user(&type, sizeof(type), (void *)attr);
    r->args[0] = type;
    read_text(r, attr + 48, 16);
}

/* Whether a call that adjusts a clock sets it: struct timex begins with its modes, 0x100 is ADJ_SETOFFSET. */
static __always_inline int adjusts_only(u32 op, u64 a[4]) {
    u32 modes = 0;
    u64 user = a[1];
    if (op == OP_ADJUST)
        user = a[0];
    else if (op != OP_CLOCK_ADJUST)
        return 0;
    bpf_probe_read_user(&modes, sizeof(modes), (void *)user);
    return !(modes & 0x100);
}

/* What a clock is set to: args are its number (0, the time of day), seconds, ns; `ACT_HAS_TIME` if all that is known. */
static __always_inline void read_clock(struct act_rec *r, u32 op, u64 a[4]) {
    u64 wide[2] = {}, first = a[0], second = a[1];
    u32 has_clock = op == OP_CLOCK || op == OP_CLOCK32 || op == OP_CLOCK_ADJUST;
    u64 user = has_clock ? second : first;
    s32 narrow[2] = {};
    long failed = 1;
    r->args[0] = has_clock ? first : 0;
    if (op == OP_CLOCK || op == OP_TIMEOFDAY) {
        failed = bpf_probe_read_user(wide, sizeof(wide), (void *)user);
    } else if (op == OP_CLOCK32 || op == OP_TIMEOFDAY32) {
        failed = bpf_probe_read_user(narrow, sizeof(narrow), (void *)user);
    } else if (op == OP_STIME32) {
        failed = bpf_probe_read_user(narrow, 4, (void *)user);
    }
    if (op != OP_CLOCK && op != OP_TIMEOFDAY) {
        wide[0] = (s64)narrow[0];
        wide[1] = (s64)narrow[1];
    }
    r->args[1] = wide[0];
    r->args[2] = op == OP_TIMEOFDAY || op == OP_TIMEOFDAY32 ? wide[1] * 1000 : wide[1];
    if (!failed)
        r->present |= ACT_HAS_TIME;
}

/* At the exit of a call. */
static __always_inline int acted(struct settings *set, u64 task, u32 op, u64 regs, u32 compat, long ret) {
    u64 id = bpf_get_current_pid_tgid(), a[4] = {};
    int at = id & (SLOTS - 1);
    u32 action, ids[6] = {};
    struct name_slot *slot = 0;
    struct act_rec *r;
    read_args(regs, compat, a);
    action = action_of(op, a, ret);
    if (!action || adjusts_only(op, a) || !in_scope(set) || filtered_out(set, action, SRC_ACT))
        return 0;
    if (op == OP_UID || op == OP_GID) {
        slot = slots.lookup(&at);
        if (slot && slot->owner == id) {
            u64 *before = (u64 *)slot->ids, *after = (u64 *)ids;
            read_user_ids(ids, task);
            if (ret == 0 && before[0] == after[0] && before[1] == after[1] && before[2] == after[2])
                return 0;        /* nothing changed */
        } else {
            slot = 0;
        }
    }
    r = begin_act(SRC_ACT, action, task);
    if (!r)
        return 0;
    if (slot) {
        __builtin_memcpy(r->ids, slot->ids, sizeof(r->ids));
        r->present |= ACT_HAS_IDS;
        slot->owner = 0;
    }
    r->ret = op == OP_MMAP ? 0 : ret;
    r->args[0] = op == OP_MMAP ? ret : a[0];
    r->args[1] = a[1];
    r->args[2] = a[2];
    r->args[3] = a[3];
    if (op == OP_MEMFD)
        read_text(r, a[0], ACT_TEXT);
    else if (op == OP_PRCTL)
        read_text(r, a[1], 16);
    else if (op == OP_PTRACE) {
        r->target_pid = a[0] ? a[1] : 0;
        traced(r, task, a[0], a[1]);
    } else if (op == OP_VM_WRITE)
        r->target_pid = a[0];
    else if (op == OP_PIDFD_GETFD) {
        r->target_pid = pid_of_pidfd(task, a[0]);
        r->present |= ACT_PID_IS_GLOBAL;
    } else if (op == OP_EXEC || op == OP_EXECAT)
        read_text(r, op == OP_EXEC ? a[0] : a[1], ACT_TEXT);
    else if (op == OP_BPF)
        read_bpf(r, a[1]);
    else if (action == ACT_CLOCK)
        read_clock(r, op, a);
    ring_act.ringbuf_submit(r, BPF_RB_NO_WAKEUP);
    return 0;
}

/* signal_generate(sig, info, task, group, result): from kill and its like, not from faults, timers and the kernel. */
int on_signal(struct bpf_raw_tracepoint_args *ctx) {
    u64 info = ctx->args[1], task = bpf_get_current_task();
    s32 code = 1;
    u32 tgid = 0;
    struct settings *set;
    struct act_rec *r;
    if (info <= 1)
        return 0;
    READ(code, info + OFF_SI_CODE);
    if (code != 0 && code != -1 && code != -6)       /* SI_USER, SI_QUEUE, SI_TKILL */
        return 0;
    READ(tgid, ctx->args[2] + OFF_TGID);
    if (tgid == bpf_get_current_pid_tgid() >> 32)    /* threads of a process talk to one another so */
        return 0;
    set = settings();
    if (!set || !in_scope(set) || filtered_out(set, ACT_KILL, SRC_SIGNAL))
        return 0;
    r = begin_act(SRC_SIGNAL, ACT_KILL, task);
    if (!r)
        return 0;
    r->args[0] = ctx->args[0];
    set_target(r, ctx->args[2]);
    ring_act.ringbuf_submit(r, BPF_RB_NO_WAKEUP);
    return 0;
}
