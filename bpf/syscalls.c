/* The two system call hooks: what is done at the entry and at the exit of the calls that matter. */

BPF_PROG_ARRAY(enters, 1);

/* The names of a call, one after the other: the walk of a folder is verified once for both. */
int enter_name(struct bpf_raw_tracepoint_args *ctx) {
    u64 id = bpf_get_current_pid_tgid();
    int zero = 0, at = id & (SLOTS - 1);
    struct scratch *s = enter_scratch.lookup(&zero);
    struct name_slot *slot = slots.lookup(&at);
    u64 which;
    if (!s || !slot)
        return 0;
    which = slot->which & 1;
    read_entry(slot, s, bpf_get_current_task(), s->args.path[which], s->args.dirfd[which], which);
    if (!slot->which && s->args.path[1]) {
        slot->which = 1;
        enters.call(ctx, 0);
    }
    return 0;
}

/* sys_enter(regs, nr) */
int on_sys_enter(struct bpf_raw_tracepoint_args *ctx) {
    u32 nr = ctx->args[1] & 0xbfffffff, op, compat;
    u32 *entry = dispatch.lookup(&nr);
    int zero = 0, at;
    u64 task, id;
    struct settings *set;
    struct scratch *s;
    struct name_slot *slot;
    struct named_call *named;
    if (!entry || !*entry)
        return 0;
    task = bpf_get_current_task();
    compat = is_compat(task);
    op = OP_OF(*entry, compat);
    if (op < OP_UID || (op > OP_GID && op < OP_NAMED))
        return 0;
    set = settings();
    s = enter_scratch.lookup(&zero);
    id = bpf_get_current_pid_tgid();
    at = id & (SLOTS - 1);
    slot = slots.lookup(&at);
    if (!set || !s || !slot || !in_scope(set))
        return 0;
    if (op < OP_NAMED) {
        slot->owner = id;
        read_user_ids(slot->ids, task);
        return 0;
    }
    named = named_calls.lookup(&op);
    if (!named || !(set->actions >> named->action & 1) || id >> 32 == set->own_tgid)
        return 0;
    call_args(s, named, ctx->args[0], compat);
    slot->owner = id;
    slot->flags = 0;
    slot->dir_len[0] = slot->dir_len[1] = slot->name_len[0] = slot->name_len[1] = 0;
    slot->which = 0;
    enters.call(ctx, 0);
    return 0;
}

static __always_inline int ended_call(struct ended_call *c, u64 regs) {
    u64 nr = 0;
    u32 key, *entry;
    c->regs = regs;
    READ(nr, regs + OFF_R_ORIG_AX);
    key = nr & 0xbfffffff;
    entry = dispatch.lookup(&key);
    if (!entry || !*entry)
        return 0;
    c->task = bpf_get_current_task();
    c->compat = is_compat(c->task);
    c->op = OP_OF(*entry, c->compat);
    return c->op;
}

/* Programs of their own, as the verifier has its limit for each: what most calls never come to. */
BPF_PROG_ARRAY(exits, 3);
#define EXIT_ACTED 0
#define EXIT_NAMED 1
#define EXIT_SOCKET 2

int exit_acted(struct bpf_raw_tracepoint_args *ctx) {
    struct ended_call c = {};
    struct settings *set = settings();
    if (!set || !ended_call(&c, ctx->args[0]))
        return 0;
    return acted(set, c.task, c.op, c.regs, c.compat, ctx->args[1]);
}

int exit_named(struct bpf_raw_tracepoint_args *ctx) {
    long ret = ctx->args[1];
    int zero = 0;
    struct ended_call c = {};
    struct settings *set = settings();
    struct scratch *s = exit_scratch.lookup(&zero);
    struct named_call *line;
    if (!set || !s || !ended_call(&c, ctx->args[0]))
        return 0;
    line = named_calls.lookup(&c.op);
    if (!line || (ret && !(line->failed && ret < 0)))
        return 0;
    return named(set, s, c.task, line, c.regs, c.compat, ret);
}

int exit_socket(struct bpf_raw_tracepoint_args *ctx) {
    struct ended_call c = {};
    struct settings *set = settings();
    if (!set || !ended_call(&c, ctx->args[0]))
        return 0;
    return socket_call(set, &c, ctx->args[1]);
}

/* sys_exit(regs, ret) */
int on_sys_exit(struct bpf_raw_tracepoint_args *ctx) {
    int zero = 0;
    struct ended_call c = {};
    struct settings *set;
    struct scratch *s;
    if (!ended_call(&c, ctx->args[0]))
        return 0;
    if (c.op > OP_OPENAT2) {
        if (c.op >= OP_NAMED)
            exits.call(ctx, EXIT_NAMED);
        else if (c.op >= OP_SOCKET || c.op < OP_UID)
            exits.call(ctx, EXIT_SOCKET);
        else
            exits.call(ctx, EXIT_ACTED);
        return 0;
    }
    set = settings();
    s = exit_scratch.lookup(&zero);
    return set && s ? opened(set, s, c.task, c.op, c.regs, c.compat, ctx->args[1]) : 0;
}
