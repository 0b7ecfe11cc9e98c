/* The two system call hooks: what is done at the entry and at the exit of the calls that matter. */

/* sys_enter(regs, nr) */
int on_sys_enter(struct bpf_raw_tracepoint_args *ctx) {
    u32 nr = ctx->args[1] & 0xbfffffff, op, compat;
    u32 *entry = dispatch.lookup(&nr);
    int zero = 0, at;
    u64 task, id;
    struct call_args call = {};
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
    call_args(&call, named, ctx->args[0], compat);
    slot->owner = id;
    slot->flags = 0;
    slot->dir_len[0] = slot->dir_len[1] = slot->name_len[0] = slot->name_len[1] = 0;
    read_entry(slot, s, task, call.path[0], call.dirfd[0], 0);
    if (call.path[1])
        read_entry(slot, s, task, call.path[1], call.dirfd[1], 1);
    return 0;
}

/* sys_exit(regs, ret) */
int on_sys_exit(struct bpf_raw_tracepoint_args *ctx) {
    u64 regs = ctx->args[0], nr = 0, task, call = 0;
    long ret = ctx->args[1];
    u32 key, *entry, op, compat;
    int zero = 0;
    struct settings *set;
    struct scratch *s;
    struct named_call *names;
    READ(nr, regs + OFF_R_ORIG_AX);
    key = nr & 0xbfffffff;
    entry = dispatch.lookup(&key);
    if (!entry || !*entry)
        return 0;
    task = bpf_get_current_task();
    compat = is_compat(task);
    op = OP_OF(*entry, compat);
    set = settings();
    s = exit_scratch.lookup(&zero);
    if (!op || !set || !s)
        return 0;
    if (op >= OP_UID && op < OP_NAMED)
        return acted(set, task, op, regs, compat, ret);
    if (ret < 0)
        return 0;
    if (op == OP_OPEN)
        return opened(set, s, task, ret);
    if (op == OP_SOCKETCALL) {
        READ(call, regs + OFF_R_BX);
        if ((u32)call != 5 && (u32)call != 18)       /* SYS_ACCEPT, SYS_ACCEPT4 */
            return 0;
        op = OP_ACCEPT;
    }
    if (op == OP_ACCEPT)
        return accepted(set, task, ret);
    names = named_calls.lookup(&op);
    return names && ret == 0 ? named(set, s, task, names, regs, compat) : 0;
}
