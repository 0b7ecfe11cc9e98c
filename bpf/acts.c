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
    }
    return 0;
}

static __always_inline void read_text(struct act_rec *r, u64 user, u32 most) {
    long len = most == 16 ? bpf_probe_read_user_str(r->text, 16, (void *)user)
                          : bpf_probe_read_user_str(r->text, ACT_TEXT, (void *)user);
    r->text_len = len > 0 ? len - 1 : 0;
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
    if (!action || !in_scope(set) || filtered_out(set, action, SRC_ACT))
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
    }
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
