/* TCP connects (attempt and result) and accepts. */

/* Who connects on a socket: the result arrives in a softirq, where `current` is anybody. */
BPF_TABLE("lru_hash", u64, struct who, connecting, 16384);

static __always_inline void fill_socket(struct net_rec *r, u64 sk) {
    u16 port = 0;
    __builtin_memset(r->local, 0, 16);
    __builtin_memset(r->remote, 0, 16);
    READ(r->family, sk + OFF_SK_FAMILY);
    READ(r->local_port, sk + OFF_SK_NUM);
    if (!r->local_port) {            /* given back already when a connect fails */
        READ(port, sk + OFF_SK_SPORT);
        r->local_port = port >> 8 | port << 8;
    }
    READ(port, sk + OFF_SK_DPORT);
    r->remote_port = port >> 8 | port << 8;
    if (r->family == 10) {
        bpf_probe_read_kernel(r->local, 16, (void *)(sk + OFF_SK_V6_LOCAL));
        bpf_probe_read_kernel(r->remote, 16, (void *)(sk + OFF_SK_V6_REMOTE));
    } else {
        bpf_probe_read_kernel(r->local, 4, (void *)(sk + OFF_SK_LOCAL));
        bpf_probe_read_kernel(r->remote, 4, (void *)(sk + OFF_SK_REMOTE));
    }
    r->unused = 0;
    r->unused2 = 0;
}

static __always_inline int is_tcp(u64 sk) {
    u16 family = 0, protocol = 0;
    READ(family, sk + OFF_SK_FAMILY);
    READ(protocol, sk + OFF_SK_PROTOCOL);
    return (family == 2 || family == 10) && protocol == 6;
}

static __always_inline struct net_rec *reserve_net(void) {
    return ring_net.ringbuf_reserve(sizeof(struct net_rec));
}

static __always_inline int attempt(struct settings *set, u64 sk) {
    struct who who = {};
    struct counts *c;
    struct net_rec *r;
    u64 seq, ts;
    if (!in_scope(set))
        return 0;
    fill_who(&who, bpf_get_current_task());
    connecting.update(&sk, &who);
    if (filtered_out(set, ACT_ATTEMPT, SRC_NET))
        return 0;
    c = counts_of(SRC_NET);
    if (!c)
        return 0;
    seq = next_seq(c);
    ts = bpf_ktime_get_boot_ns();
    r = reserve_net();
    if (!r) {
        c->lost++;
        return 0;
    }
    fill_place(&r->head, SRC_NET, ACT_ATTEMPT, ts, seq);
    __builtin_memcpy(&r->head.who, &who, sizeof(who));
    fill_socket(r, sk);
    r->ret = 1;
    ring_net.ringbuf_submit(r, BPF_RB_NO_WAKEUP);
    return 0;
}

static __always_inline int result(struct settings *set, u64 sk, int state) {
    struct who who = {};
    struct who *known = connecting.lookup(&sk);
    struct counts *c;
    struct net_rec *r;
    u64 seq, ts;
    s32 err = 0;
    if (known) {
        __builtin_memcpy(&who, known, sizeof(who));
        connecting.delete(&sk);
    } else if (set->scope_id) {
        return 0;
    }
    if (filtered_out(set, ACT_RESULT, SRC_NET))
        return 0;
    c = counts_of(SRC_NET);
    if (!c)
        return 0;
    seq = next_seq(c);
    ts = bpf_ktime_get_boot_ns();
    r = reserve_net();
    if (!r) {
        c->lost++;
        return 0;
    }
    fill_place(&r->head, SRC_NET, ACT_RESULT, ts, seq);
    __builtin_memcpy(&r->head.who, &who, sizeof(who));
    fill_socket(r, sk);
    READ(err, sk + OFF_SK_ERR);
    r->ret = state == 1 ? 0 : err ? -err : 1;
    ring_net.ringbuf_submit(r, BPF_RB_NO_WAKEUP);
    return 0;
}

/* inet_sock_set_state(sk, old, new): 1 ESTABLISHED, 2 SYN_SENT, 3 SYN_RECV, 7 CLOSE */
int on_tcp_state(struct bpf_raw_tracepoint_args *ctx) {
    u64 sk = ctx->args[0];
    int old = ctx->args[1], new = ctx->args[2];
    struct settings *set;
    if (old != 2 && new != 2)
        return 0;
    set = settings();
    if (!set || !is_tcp(sk))
        return 0;
    if (old == 7 && new == 2)
        return attempt(set, sk);
    if (old == 2 && new != 3)
        return result(set, sk, new);
    return 0;
}

static __always_inline int accepted(struct settings *set, u64 task, u32 fd) {
    u64 file = file_of(task, fd), inode = 0, socket = 0, sk = 0, seq, ts;
    u16 mode = 0;
    struct counts *c;
    struct net_rec *r;
    if (!file)
        return 0;
    READ(inode, file + OFF_F_INODE);
    READ(mode, inode + OFF_I_MODE);
    if ((mode & 0xf000) != 0xc000)
        return 0;
    READ(socket, file + OFF_PRIVATE_DATA);
    READ(sk, socket + OFF_SOCKET_SK);
    if (!sk || !is_tcp(sk) || !in_scope(set) || filtered_out(set, ACT_ACCEPT, SRC_ACCEPT))
        return 0;
    c = counts_of(SRC_ACCEPT);
    if (!c)
        return 0;
    seq = next_seq(c);
    ts = bpf_ktime_get_boot_ns();
    r = reserve_net();
    if (!r) {
        c->lost++;
        return 0;
    }
    fill_place(&r->head, SRC_ACCEPT, ACT_ACCEPT, ts, seq);
    fill_who(&r->head.who, task);
    fill_socket(r, sk);
    r->ret = 0;
    ring_net.ringbuf_submit(r, BPF_RB_NO_WAKEUP);
    return 0;
}
