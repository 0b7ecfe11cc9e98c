/* Sockets: TCP connections from attempt to end, accepts, binds, listens, connects that lead nowhere or to a name, raw
 * sockets. */

/* Whose connection a socket is: results and ends arrive in softirqs, where `current` is anybody. */
struct connection {
    struct who who;
    u64 since;           /* when it stood, 0: it does not yet */
    u32 inward, found;   /* found: it stood before the recording, since when is not known */
};
BPF_TABLE("lru_hash", u64, struct connection, connections, 65536);

/* Threads whose connect has been told of as an attempt: its result will follow. */
BPF_TABLE("lru_hash", u64, u8, attempted, 4096);

#define INET 2
#define INET6 10
#define UNIX 1
#define PACKET 17
#define TCP 6
#define UDP 17

static __always_inline void fill_socket(struct net_rec *r, u64 sk) {
    u64 net = 0;
    u16 port = 0;
    __builtin_memset(r->local, 0, 16);
    __builtin_memset(r->remote, 0, 16);
    READ(r->family, sk + OFF_SK_FAMILY);
    READ(r->type, sk + OFF_SK_TYPE);
    READ(r->protocol, sk + OFF_SK_PROTOCOL);
    READ(net, sk + OFF_SK_NET);
    READ(r->netns, net + OFF_NET_INUM);
    r->local_port = 0;
    r->remote_port = 0;
    r->lens[0] = r->lens[1] = r->lens[2] = r->lens[3] = 0;
    r->present = 0;
    r->state = 0;
    r->ret = 0;
    r->received = r->sent = r->duration = 0;
    if (r->family != INET && r->family != INET6)
        return;
    r->present = NET_HAS_LOCAL | NET_HAS_REMOTE;
    READ(r->local_port, sk + OFF_SK_NUM);
    if (!r->local_port) {            /* given back already when a connect fails */
        READ(port, sk + OFF_SK_SPORT);
        r->local_port = port >> 8 | port << 8;
    }
    READ(port, sk + OFF_SK_DPORT);
    r->remote_port = port >> 8 | port << 8;
    if (r->family == INET6) {
        bpf_probe_read_kernel(r->local, 16, (void *)(sk + OFF_SK_V6_LOCAL));
        bpf_probe_read_kernel(r->remote, 16, (void *)(sk + OFF_SK_V6_REMOTE));
    } else {
        bpf_probe_read_kernel(r->local, 4, (void *)(sk + OFF_SK_LOCAL));
        bpf_probe_read_kernel(r->remote, 4, (void *)(sk + OFF_SK_REMOTE));
    }
}

static __always_inline int is_tcp(u64 sk) {
    u16 family = 0, protocol = 0;
    READ(family, sk + OFF_SK_FAMILY);
    READ(protocol, sk + OFF_SK_PROTOCOL);
    return (family == INET || family == INET6) && protocol == TCP;
}

static __always_inline int socket_unwanted(struct settings *set, u64 sk) {
    u16 family = 0, local = 0, remote = 0;
    if (!(set->filters & BY_PORT) || !sk)
        return 0;
    READ(family, sk + OFF_SK_FAMILY);
    if (family != INET && family != INET6)
        return 0;
    READ(local, sk + OFF_SK_NUM);
    READ(remote, sk + OFF_SK_DPORT);
    return ports_unwanted(set, local, remote >> 8 | remote << 8);
}

/* About a socket, by the actor of now or, in a softirq, by one that was looked at then. */
static __always_inline int socket_filtered(struct settings *set, u32 action, int source, u64 sk, int unwanted) {
    return filtered_if(set, action, source, unwanted || socket_unwanted(set, sk));
}

static __always_inline struct net_rec *reserve_net(void) {
    return ring_net.ringbuf_reserve(sizeof(struct net_rec));
}

/* A record about a socket, or 0; who acted is left to the caller. */
static __always_inline struct net_rec *begin_net(int source, u32 action, u64 sk) {
    struct counts *c = counts_of(source);
    struct net_rec *r;
    u64 seq, ts;
    if (!c)
        return 0;
    seq = next_seq(c);
    ts = bpf_ktime_get_boot_ns();
    r = reserve_net();
    if (!r) {
        c->lost++;
        return 0;
    }
    fill_place(&r->head, source, action, ts, seq);
    fill_socket(r, sk);
    return r;
}

static __always_inline int attempt(struct settings *set, u64 sk) {
    struct connection made = {};
    struct net_rec *r;
    u64 id = bpf_get_current_pid_tgid();
    u8 one = 1;
    if (!in_scope(set))
        return 0;
    fill_who(&made.who, bpf_get_current_task());
    made.who.unwanted = actor_unwanted(set);
    connections.update(&sk, &made);
    attempted.update(&id, &one);
    if (socket_filtered(set, ACT_ATTEMPT, SRC_NET, sk, made.who.unwanted))
        return 0;
    r = begin_net(SRC_NET, ACT_ATTEMPT, sk);
    if (!r)
        return 0;
    __builtin_memcpy(&r->head.who, &made.who, sizeof(made.who));
    r->ret = NET_RET_UNKNOWN;
    ring_net.ringbuf_submit(r, BPF_RB_NO_WAKEUP);
    return 0;
}

static __always_inline int result(struct settings *set, u64 sk, int state) {
    struct who who = {};
    struct connection *known = connections.lookup(&sk);
    struct net_rec *r;
    s32 err = 0;
    if (known) {
        __builtin_memcpy(&who, &known->who, sizeof(who));
        if (state == 1)
            known->since = bpf_ktime_get_boot_ns();
        else
            connections.delete(&sk);
    } else if (set->scope_id) {
        return 0;
    }
    if (socket_filtered(set, ACT_RESULT, SRC_NET, sk, who.unwanted))
        return 0;
    r = begin_net(SRC_NET, ACT_RESULT, sk);
    if (!r)
        return 0;
    __builtin_memcpy(&r->head.who, &who, sizeof(who));
    READ(err, sk + OFF_SK_ERR);
    r->ret = state == 1 ? 0 : err ? -err : NET_RET_UNKNOWN;
    ring_net.ringbuf_submit(r, BPF_RB_NO_WAKEUP);
    return 0;
}

/* What the two ends sent, without what was sent again. The kernel counts a FIN that came as a byte. */
static __always_inline void fill_bytes(struct net_rec *r, u64 sk) {
    u64 received = 0, sent = 0, again = 0, flags = 0;
    READ(received, sk + OFF_TCP_RECEIVED);
    READ(sent, sk + OFF_TCP_SENT);
    READ(again, sk + OFF_TCP_RETRANS);
    READ(flags, sk + OFF_SK_FLAGS);
    r->received = received - (received && flags & 2 ? 1 : 0);        /* SOCK_DONE */
    r->sent = sent - again;
    r->present |= NET_HAS_BYTES;
}

/* The end of a connection whose beginning was seen. */
static __always_inline int ended(struct settings *set, u64 sk) {
    struct connection *known = connections.lookup(&sk), was = {};
    struct net_rec *r;
    if (!known)
        return 0;
    __builtin_memcpy(&was, known, sizeof(was));
    connections.delete(&sk);
    if (!was.since || socket_filtered(set, ACT_DISCONNECT, SRC_NET, sk, was.who.unwanted))
        return 0;
    r = begin_net(SRC_NET, ACT_DISCONNECT, sk);
    if (!r)
        return 0;
    __builtin_memcpy(&r->head.who, &was.who, sizeof(was.who));
    r->present |= was.inward ? NET_INWARD : 0;
    fill_bytes(r, sk);
    if (!was.found) {
        r->duration = r->head.ts - was.since;
        r->present |= NET_HAS_DURATION;
    }
    ring_net.ringbuf_submit(r, BPF_RB_NO_WAKEUP);
    return 0;
}

/* inet_sock_set_state(sk, old, new): 1 ESTABLISHED, 2 SYN_SENT, 3 SYN_RECV, 7 CLOSE, 10 LISTEN */
int on_tcp_state(struct bpf_raw_tracepoint_args *ctx) {
    u64 sk = ctx->args[0];
    int old = ctx->args[1], new = ctx->args[2];
    struct settings *set;
    if (old != 2 && new != 2 && new != 7)
        return 0;
    set = settings();
    if (!set || !is_tcp(sk))
        return 0;
    if (old == 7 && new == 2)
        return attempt(set, sk);
    if (old == 2 && new != 3)
        return result(set, sk, new);
    return new == 7 ? ended(set, sk) : 0;
}

static __always_inline u64 socket_of(u64 task, u32 fd) {
    return socket_of_file(file_of(task, fd));
}

static __always_inline int accepted(struct settings *set, u64 task, u64 sk, int source) {
    struct connection made = {};
    struct net_rec *r;
    if (!sk || !is_tcp(sk) || !in_scope(set))
        return 0;
    fill_who(&made.who, task);
    made.who.unwanted = actor_unwanted(set);
    made.since = bpf_ktime_get_boot_ns();
    made.inward = 1;
    connections.update(&sk, &made);
    if (socket_filtered(set, ACT_ACCEPT, source, sk, made.who.unwanted))
        return 0;
    r = begin_net(source, ACT_ACCEPT, sk);
    if (!r)
        return 0;
    __builtin_memcpy(&r->head.who, &made.who, sizeof(made.who));
    r->present |= NET_INWARD;
    ring_net.ringbuf_submit(r, BPF_RB_NO_WAKEUP);
    return 0;
}

/* The address that a call gave: struct sockaddr_in, sockaddr_in6, sockaddr_un. */
struct given_address { u16 family, port; u8 rest[124]; };

static __always_inline void read_address(struct given_address *a, u64 user, u32 size) {
    u32 n = size > 110 ? 110 : size;
    asm volatile("%0 &= 127" : "+r"(n));
    bpf_probe_read_user(a, n, (void *)user);
}

static __always_inline void set_address(u8 to[16], u16 *port, struct given_address *a) {
    *port = a->port >> 8 | a->port << 8;
    __builtin_memset(to, 0, 16);
    if (a->family == INET6)
        __builtin_memcpy(to, a->rest + 4, 16);
    else
        __builtin_memcpy(to, a->rest, 4);
}

/* The name that a socket of the same machine is bound to, as the kernel has it; else as it was given. */
static __always_inline void fill_name(struct net_rec *r, u64 sk, u64 user, u32 size) {
    u64 address = 0, name = user + 2;
    u32 len = size;
#ifdef OFF_UNIX_ADDR
    if (sk)
        READ(address, sk + OFF_UNIX_ADDR);
    if (address) {
        READ(len, address + OFF_UNIX_LEN);
        name = address + OFF_UNIX_NAME + 2;
    }
#endif
    len = len > 110 ? 110 : len;
    len = len > 2 ? len - 2 : 0;
    asm volatile("%0 &= 127" : "+r"(len));
    if (address ? !bpf_probe_read_kernel(r->text, len, (void *)name) : !bpf_probe_read_user(r->text, len, (void *)name))
        r->lens[0] = len;
}

/* A connect: of TCP it is told of here only if it never came to an attempt, of UDP if it failed. */
static __always_inline u32 connect_action(u16 family, long ret) {
    u64 id = bpf_get_current_pid_tgid();
    u8 *told = attempted.lookup(&id);
    if (told)
        attempted.delete(&id);
    if (family == UNIX)
        return ACT_UNIX_CONNECT;
    if ((family != INET && family != INET6) || told || ret >= 0 || ret < -511)
        return 0;
    /* EINTR, EAGAIN, EALREADY, EISCONN, EINPROGRESS: nothing failed */
    return ret == -4 || ret == -11 || ret == -114 || ret == -106 || ret == -115 ? 0 : ACT_ATTEMPT;
}

/* bind, listen, connect at their exit; `user` is the address that was given, of `size` bytes, if it can be read. */
static __always_inline int addressed(struct settings *set, u64 task, u32 op, u64 sk, u64 user, u32 size, long ret,
                                     int source) {
    u64 peer = 0;
    struct given_address address = {};
    struct net_rec *r;
    u16 family = 0;
    u32 action;
    if (!sk)
        return 0;
    READ(family, sk + OFF_SK_FAMILY);
    action = op == OP_BIND ? ACT_BIND : op == OP_LISTEN ? ACT_LISTEN
           : user                             ? connect_action(family, ret)
           : family == UNIX                   ? ACT_UNIX_CONNECT
                                              : 0;
    if (!action || (family != INET && family != INET6 && family != UNIX && family != PACKET))
        return 0;
    if (!in_scope(set) || socket_filtered(set, action, source, sk, actor_unwanted(set)))
        return 0;
    r = begin_net(source, action, sk);
    if (!r)
        return 0;
    fill_who(&r->head.who, task);
    r->ret = ret;
    if (op != OP_CONNECT)
        r->present &= ~NET_HAS_REMOTE;
    if (family == UNIX) {
#ifdef OFF_UNIX_PEER
        if (op == OP_CONNECT && ret == 0)
            READ(peer, sk + OFF_UNIX_PEER);
#endif
        fill_name(r, op == OP_CONNECT ? peer : ret == 0 || op == OP_LISTEN ? sk : 0, user, size);
    } else if (ret < 0 && op != OP_LISTEN) {
        read_address(&address, user, size);
        if (op == OP_BIND)
            set_address(r->local, &r->local_port, &address);
        else {
            set_address(r->remote, &r->remote_port, &address);
            r->present &= ~NET_HAS_LOCAL;
        }
    }
    ring_net.ringbuf_submit(r, BPF_RB_NO_WAKEUP);
    return 0;
}

/* socket(family, type, protocol): those that see or make packets as they are. */
static __always_inline int raw_socket(struct settings *set, u64 task, u64 a[3], long ret, int source) {
    u32 family = a[0], type = a[1] & 15;
    struct net_rec *r;
    if (family != PACKET && !((family == INET || family == INET6) && type == 3))     /* SOCK_RAW */
        return 0;
    if (!in_scope(set) || filtered_out(set, ACT_RAW_SOCKET, source))
        return 0;
    r = begin_net(source, ACT_RAW_SOCKET, ret >= 0 ? socket_of(task, ret) : 0);
    if (!r)
        return 0;
    fill_who(&r->head.who, task);
    r->present = 0;
    r->family = family;
    r->type = type;
    r->protocol = a[2];
    r->ret = ret < 0 ? ret : 0;
    ring_net.ringbuf_submit(r, BPF_RB_NO_WAKEUP);
    return 0;
}

/* What a 32-bit socketcall stands for, and its arguments, which lie in memory. */
static __always_inline u32 of_socketcall(u64 regs, u64 a[3]) {
    u64 number = 0, user = 0;
    u32 given[3] = {};
    READ(number, regs + OFF_R_BX);
    READ(user, regs + OFF_R_CX);
    bpf_probe_read_user(given, (u32)number == 4 ? 8 : 12, (void *)(u64)(u32)user);
    a[0] = given[0];
    a[1] = given[1];
    a[2] = given[2];
    switch ((u32)number) {
    case 1: return OP_SOCKET;
    case 2: return OP_BIND;
    case 3: return OP_CONNECT;
    case 4: return OP_LISTEN;
    case 5:
    case 18: return OP_ACCEPT;
    }
    return 0;
}

static __always_inline int socket_call(struct settings *set, struct ended_call *c, long ret) {
    u64 a[4] = {};
    u32 op = c->op;
    if (op == OP_SOCKETCALL)
        op = of_socketcall(c->regs, a);
    else
        read_args(c->regs, c->compat, a);
    if (op == OP_SOCKET)
        return raw_socket(set, c->task, a, ret, SRC_SOCKET);
    if (op == OP_ACCEPT)
        return ret >= 0 ? accepted(set, c->task, socket_of(c->task, ret), SRC_SOCKET) : 0;
    if (op == OP_LISTEN)
        a[1] = a[2] = 0;
    return op ? addressed(set, c->task, op, socket_of(c->task, a[0]), a[1], a[2], ret, SRC_SOCKET) : 0;
}
