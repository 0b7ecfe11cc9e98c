/* What was there already when the recording began: sockets, and BPF programs, with who holds them. */

#define FOUND_SOCKET 1
#define FOUND_PROGRAM 2

struct found_row { u64 kind, id; union { struct net_rec net; struct act_rec act; }; };
_Static_assert(sizeof(struct found_row) == SIZE_FOUND, "found_row");
BPF_PERCPU_ARRAY(found_rows, struct found_row, 1);

static __always_inline struct found_row *new_row(u64 kind) {
    int zero = 0;
    struct found_row *row = found_rows.lookup(&zero);
    if (row)
        row->kind = kind;
    return row;
}

/* A socket, unless it is one of the same machine that nobody can name. `id` is the struct sock. */
static __always_inline int found_socket(struct seq_file *seq, u64 task, u64 sk) {
    struct found_row *row = new_row(FOUND_SOCKET);
    struct net_rec *r;
    u64 peer = 0;
    u8 state = 0;
    if (!row)
        return 0;
    r = &row->net;
    row->id = sk;
    fill_place(&r->head, SRC_RECORDER, ACT_EXISTING_SOCKET, bpf_ktime_get_boot_ns(), 0);
    fill_who(&r->head.who, task);
    fill_socket(r, sk);
    if (r->family != INET && r->family != INET6 && r->family != UNIX && r->family != PACKET)
        return 0;
    READ(state, sk + OFF_SK_STATE);
    r->state = state;
    if (r->family == UNIX) {
        fill_name(r, sk, 0, 0);
        if (r->lens[0] && state == 1)
            r->present |= NET_INWARD;
#ifdef OFF_UNIX_PEER
        READ(peer, sk + OFF_UNIX_PEER);
        if (!r->lens[0] && peer)
            fill_name(r, peer, 0, 0);
#endif
        if (!r->lens[0])
            return 0;
    } else if (!r->remote_port)
        r->present &= ~NET_HAS_REMOTE;
    if (r->family != PACKET && r->family != UNIX && r->protocol == TCP && r->remote_port)
        fill_bytes(r, sk);
    bpf_seq_write(seq, row, sizeof(*row));
    return 0;
}

/* A BPF program, and a process that holds it or a link to it, if one is known. `id` is the program's number. */
static __always_inline int found_program(struct seq_file *seq, u64 task, u64 program) {
#ifdef OFF_BPF_AUX
    struct found_row *row = new_row(FOUND_PROGRAM);
    struct act_rec *r;
    u64 aux = 0;
    u32 id = 0, type = 0;
    long len;
    if (!row)
        return 0;
    r = &row->act;
    fill_place(&r->head, SRC_RECORDER, ACT_EXISTING_BPF, bpf_ktime_get_boot_ns(), 0);
    if (task)
        fill_who(&r->head.who, task);
    else
        __builtin_memset(&r->head.who, 0, sizeof(r->head.who));
    READ(aux, program + OFF_BPF_AUX);
    READ(type, program + OFF_BPF_TYPE);
    READ(id, aux + OFF_BPF_ID);
    row->id = id;
    r->ret = 0;
    r->args[0] = type;
    r->args[1] = id;
    r->args[2] = r->args[3] = 0;
    __builtin_memset(r->ids, 0, sizeof(r->ids));
    r->target_start = 0;
    r->target_tgid = r->target_exec_seq = r->target_pid = 0;
    r->present = 0;
    len = bpf_probe_read_kernel_str(r->text, 16, (void *)(aux + OFF_BPF_NAME));
    r->text_len = len > 0 ? len - 1 : 0;
    bpf_seq_write(seq, row, sizeof(*row));
#endif
    return 0;
}

/* What the name of an anonymous file says it is: 1 a BPF program, 2 a link to one. */
static __always_inline u32 kind_of_anonymous(u64 file) {
    char name[16] = {};
    struct link l = {};
    u64 ends[2] = {};
    READ(ends, file + OFF_F_PATH);
    read_link(&l, ends[1]);
    bpf_probe_read_kernel_str(name, sizeof(name), (void *)l.name);
    if (name[0] != 'b' || name[1] != 'p' || name[2] != 'f' || (name[3] != '-' && name[3] != '_'))
        return 0;
    if (name[4] == 'p' && name[5] == 'r' && name[6] == 'o' && name[7] == 'g' && !name[8])
        return 1;
    return name[4] == 'l' && name[5] == 'i' && name[6] == 'n' && name[7] == 'k' && !name[8] ? 2 : 0;
}

struct file_iteration { struct iter_meta *meta; void *task; u32 fd; void *file; };

/* Every open file of every process. */
int bpf_iter__task_file(struct file_iteration *ctx) {
    u64 task = (u64)ctx->task, file = (u64)ctx->file, sk, held = 0;
    struct seq_file *seq = ctx->meta->seq;
    u32 kind;
    if (!task || !file)
        return 0;
    sk = socket_of_file(file);
    if (sk)
        return found_socket(seq, task, sk);
    kind = kind_of_anonymous(file);
    if (!kind)
        return 0;
    READ(held, file + OFF_PRIVATE_DATA);
#ifdef OFF_BPF_LINK_PROG
    if (kind == 2)
        READ(held, held + OFF_BPF_LINK_PROG);
#endif
    return held ? found_program(seq, task, held) : 0;
}

struct program_iteration { struct iter_meta *meta; void *prog; };

/* Every BPF program, whoever holds it. */
int bpf_iter__bpf_prog(struct program_iteration *ctx) {
    return ctx->prog ? found_program(ctx->meta->seq, 0, (u64)ctx->prog) : 0;
}
