/* UDP: the first datagram of a process image to a peer, and what is asked of name servers. */

/* Who last sent on a socket, by the number of its inode. A packet that had to wait for its neighbour's address leaves
 * in a softirq, where `current` is anybody: then the sender has been noted before. */
BPF_TABLE("lru_hash", u64, struct who, senders, 8192);

struct peer_key { u64 start; u32 tgid, exec_seq; u8 remote[16]; u32 netns; u16 port, unused; };
BPF_TABLE("lru_hash", struct peer_key, u8, peers, 65536);

static __always_inline u64 inode_of(u64 sk) {
    u64 socket = 0, number = 0;
    READ(socket, sk + OFF_SK_SOCKET);
    if (socket)
        READ(number, socket + OFF_SOCKET_INODE + OFF_I_INO);
    return number;
}

static __always_inline int is_udp(u64 sk) {
    u16 family = 0, protocol = 0;
    u8 state = 0;
    READ(protocol, sk + OFF_SK_PROTOCOL);
    if (protocol != UDP)
        return 0;
    READ(family, sk + OFF_SK_FAMILY);
    READ(state, sk + OFF_SK_STATE);  /* a packet of TCP may belong to a smaller struct than a sock */
    return (family == INET || family == INET6) && (state == 1 || state == 7);
}

/* sock_send_length(sk, ret, flags): after a send, in the sender's context. */
int on_sent(struct bpf_raw_tracepoint_args *ctx) {
    u64 sk = ctx->args[0], task = bpf_get_current_task(), inode, start = 0;
    u32 tgid = 0, exec_seq = 0;
    struct who who = {}, *known;
    struct settings *set;
    if (!is_udp(sk))
        return 0;
    set = settings();
    if (!set || !in_scope(set))
        return 0;
    inode = inode_of(sk);
    read_identity(task, &start, &tgid, &exec_seq);
    known = senders.lookup(&inode);
    if (!inode || (known && known->start == start && known->tgid == tgid && known->exec_seq == exec_seq))
        return 0;
    fill_who(&who, task);
    who.unwanted = actor_unwanted(set);
    senders.update(&inode, &who);
    return 0;
}

/* Where a packet's headers lie. */
struct packet { u64 head; u32 size; u16 network, transport, protocol; };

static __always_inline void read_packet(struct packet *p, u64 skb) {
    u64 data = 0;
    u32 len = 0, paged = 0;
    READ(p->head, skb + OFF_SKB_HEAD);
    READ(p->network, skb + OFF_SKB_NETWORK);
    READ(p->transport, skb + OFF_SKB_TRANSPORT);
    READ(p->protocol, skb + OFF_SKB_PROTOCOL);
    READ(data, skb + OFF_SKB_DATA);
    READ(len, skb + OFF_SKB_LEN);
    READ(paged, skb + OFF_SKB_DATA_LEN);
    p->size = data - p->head + len - paged;      /* bytes from the head that are there */
}

/* Addresses and ports as the packet has them. */
static __always_inline void fill_packet(struct net_rec *r, struct packet *p) {
    u16 ports[2] = {};
    u64 at = p->head + p->network;
    if (p->protocol == 0xdd86) {     /* IPv6, in network order */
        r->family = INET6;
        bpf_probe_read_kernel(r->local, 16, (void *)(at + 8));
        bpf_probe_read_kernel(r->remote, 16, (void *)(at + 24));
    } else {
        r->family = INET;
        __builtin_memset(r->local, 0, 16);
        __builtin_memset(r->remote, 0, 16);
        bpf_probe_read_kernel(r->local, 4, (void *)(at + 12));
        bpf_probe_read_kernel(r->remote, 4, (void *)(at + 16));
    }
    READ(ports, p->head + p->transport);
    r->local_port = ports[0] >> 8 | ports[0] << 8;
    r->remote_port = ports[1] >> 8 | ports[1] << 8;
    r->present = NET_HAS_LOCAL | NET_HAS_REMOTE;
}

static __always_inline int first_to(struct peer_key *key) {
    u8 one = 1;
    if (peers.lookup(key))
        return 0;
    peers.update(key, &one);
    return 1;
}

#define UDP_HEADER 8
#define DNS_HEADER 12
#define QUESTION_MOST 255

/* The question of a query: at most what the datagram holds, from behind the header of the message. */
static __always_inline void fill_question(struct net_rec *r, struct packet *p) {
    u16 size = 0;
    u64 at = p->transport + UDP_HEADER + DNS_HEADER, n;
    READ(size, p->head + p->transport + 4);
    size = size >> 8 | size << 8;
    if (size <= UDP_HEADER + DNS_HEADER || p->transport + size > p->size)
        return;
    n = size - UDP_HEADER - DNS_HEADER;
    if (n > QUESTION_MOST)
        n = QUESTION_MOST;
    asm volatile("%0 &= 255" : "+r"(n));
    if (!bpf_probe_read_kernel(r->text, n, (void *)(p->head + at)))
        r->lens[0] = n;
}

/* Whether a datagram asks a name server: a query with one question or more. */
static __always_inline int is_query(struct packet *p, u16 port) {
    u8 header[DNS_HEADER] = {};
    if (port != 53)
        return 0;
    READ(header, p->head + p->transport + UDP_HEADER);
    return !(header[2] & 0x80) && (header[4] || header[5]);
}

static __always_inline int send_datagram(struct settings *set, u32 action, u64 sk, struct who *who, struct packet *p) {
    struct net_rec *r;
    u16 ports[2] = {};
    if (set->filters & BY_PORT)
        READ(ports, p->head + p->transport);
    if (filtered_if(set, action, SRC_DATAGRAM, who->unwanted ||
                    ports_unwanted(set, ports[0] >> 8 | ports[0] << 8, ports[1] >> 8 | ports[1] << 8)))
        return 0;
    r = begin_net(SRC_DATAGRAM, action, sk);
    if (!r)
        return 0;
    __builtin_memcpy(&r->head.who, who, sizeof(*who));
    fill_packet(r, p);
    if (action == ACT_LOOKUP)
        fill_question(r, p);
    ring_net.ringbuf_submit(r, BPF_RB_NO_WAKEUP);
    return 0;
}

/* net_dev_queue(skb) */
int on_packet(struct bpf_raw_tracepoint_args *ctx) {
    u64 skb = ctx->args[0], sk = 0, inode, net = 0;
    u16 port = 0;
    u32 number = 0;
    struct packet p = {};
    struct peer_key key = {};
    struct who who = {}, *known;
    struct settings *set;
    READ(sk, skb + OFF_SKB_SK);
    if (!sk || !is_udp(sk))
        return 0;
    set = settings();
    if (!set)
        return 0;
    read_packet(&p, skb);
    if (p.protocol != 0xdd86 && p.protocol != 0x0008)
        return 0;
    inode = inode_of(sk);
    known = senders.lookup(&inode);
    if (inode && known)
        __builtin_memcpy(&who, known, sizeof(who));
    else if (in_scope(set)) {
        fill_who(&who, bpf_get_current_task());
        who.unwanted = actor_unwanted(set);
    } else
        return 0;
    key.start = who.start;
    key.tgid = who.tgid;
    key.exec_seq = who.exec_seq;
    if (p.protocol == 0xdd86)
        bpf_probe_read_kernel(key.remote, 16, (void *)(p.head + p.network + 24));
    else
        bpf_probe_read_kernel(key.remote, 4, (void *)(p.head + p.network + 16));
    READ(port, p.head + p.transport + 2);
    key.port = port;
    READ(net, sk + OFF_SK_NET);
    READ(number, net + OFF_NET_INUM);
    key.netns = number;
    port = port >> 8 | port << 8;
    if (first_to(&key))
        send_datagram(set, ACT_DATAGRAM, sk, &who, &p);
    if (is_query(&p, port))
        send_datagram(set, ACT_LOOKUP, sk, &who, &p);
    return 0;
}
