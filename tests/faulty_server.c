/* faulty_server.c - a server of OpenAI's completions interface, for tests: one that answers, and
 * one that does all that servers do wrong.
 *
 *   faulty_server FILE [PLAN [MODEL]]
 *
 * Listens on a free port of 127.0.0.1 and writes it to FILE; each request goes to FILE.log, the
 * Authorization header, the body and how many are under way on a line. PLAN names what is done to
 * the first, second ... request, the last one to all others: "500,429,ok". A body that has
 * "fault=NAME" in it gets that; of "fault=NAME|NAME", by the request's seed, the first or the
 * second. "late" before a name: after a while. The answer is what a body says in the last
 * "say{...}", or is made of the request's seed or, with MODEL, llm-generate's. With MODEL and
 * log-probabilities of a single token, these are the model's, and an answer that is begun is gone
 * on with. Under /page and /lost there are pages of HTML. */
#include "buf.h"
#include "engine.h"
#include "json.h"
#include "mem.h"
#include "prompt.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <unistd.h>

enum { HUGE_BYTES = 48 << 20 };

struct shared {
    atomic_int posts, open; // requests; at once
};

struct server {
    const char *file, *plan, *model;
    struct shared *shared;
    int fd; // connection
};

static void die(const char *what)
{
    perror(what);
    exit(2);
}

static void put(const struct server *s, const char *p, size_t n)
{
    while (n) {
        ssize_t k = send(s->fd, p, n, MSG_NOSIGNAL);

        if (k <= 0)
            _exit(0);
        p += k;
        n -= (size_t)k;
    }
}

static void reply(const struct server *s, const char *status, const char *more, const char *body,
                  size_t declared, size_t n)
{
    struct buf b = {0};

    buf_fmt(&b, "HTTP/1.1 %s\r\nContent-Length: %zu\r\n%s\r\n", status, declared, more);
    buf_add(&b, body, n);
    put(s, b.p, b.n);
    buf_free(&b);
}

static const char json_type_header[] = "Content-Type: application/json\r\n";

static void reply_json(const struct server *s, const char *status, const char *body)
{
    reply(s, status, json_type_header, body, strlen(body), strlen(body));
}

/* What the embedded model says to the request: a record of llm-generate. */
static void ask_model(const struct server *s, const struct json *j, struct buf *line)
{
    struct buf cmd = {0}, in = {0};
    char name[] = "/tmp/faulty_server.XXXXXX", part[4096];
    int chat = json_get(j, 0, "messages"), fd = mkstemp(name);
    double temp = 1, max = 16;
    size_t n;
    const char *raw = json_raw(j, chat < 0 ? json_get(j, 0, "prompt") : chat, &n);
    FILE *f;

    json_num(j, json_get(j, 0, "temperature"), &temp);
    json_num(j, json_get(j, 0, "max_tokens"), &max);
    buf_fmt(&in, "{\"id\":\"x\",\"%s\":%.*s}\n", chat < 0 ? "prompt" : "messages", (int)n, raw);
    if (fd < 0 || write(fd, in.p, in.n) != (ssize_t)in.n)
        die(name);
    buf_fmt(&cmd, "llm-generate -j 1 -m '%s' -t %g -n %g %s", s->model, temp, max, name);
    f = popen(cmd.p, "r");
    while (f && (n = fread(part, 1, sizeof(part), f)))
        buf_add(line, part, n);
    if (!f || pclose(f))
        buf_reset(line);
    close(fd);
    unlink(name);
    buf_free(&cmd);
    buf_free(&in);
}

/* The prompt of messages, an answer that is begun at its end. */
static int encode_messages(const struct json *j, struct arena *mem, const struct prompt_model *pm,
                           struct tok_ids *ids, struct err *e)
{
    static const char *const name[3] = {"system", "user", "assistant"};
    struct prompt p = {.user = "{{user}}"};
    struct prompt_var v[3] = {{name[0], NULL, 0}, {name[1], NULL, 0}, {name[2], NULL, 0}};
    int list = json_get(j, 0, "messages");

    for (uint32_t k = (uint32_t)list + 1; k < j->node[list].next; k = j->node[k].next)
        for (int i = 0; i < 3; i++)
            if (json_str_is(j, json_get(j, (int)k, "role"), name[i]))
                v[i].text = json_str(j, json_get(j, (int)k, "content"), mem, &v[i].n);
    p.system = v[0].text ? "{{system}}" : NULL;
    p.assistant = v[2].text ? "{{assistant}}" : NULL;
    return prompt_encode(&p, pm, v, 3, ids, e);
}

static int encode_prompt(const struct json *j, struct arena *mem, const struct prompt_model *pm,
                         bool chat, struct tok_ids *ids, struct err *e)
{
    size_t n = 0;
    const char *s = chat ? NULL : json_str(j, json_get(j, 0, "prompt"), mem, &n);

    return s ? tok_encode(pm->tok, s, n, TOK_BOS | TOK_SPECIAL, ids, e)
             : encode_messages(j, mem, pm, ids, e);
}

/* What goes on behind a raw prompt, in which control tokens are such, as servers have it. */
static void go_on(const struct server *s, const struct json *j, struct arena *mem, struct buf *text,
                  const char **finish, struct buf *usage)
{
    const struct engine_opt o = {.batch = 1, .batch_tokens = 256, .threads = 1};
    struct engine_request q = {.max_tokens = 16, .sample = {.top_p = 1, .repeat_penalty = 1}};
    struct err e = {0};
    struct engine *en = engine_open(&o, s->model, &e);
    struct prompt_model pm;
    struct engine_result d = {0};
    struct tok_ids ids = {0};
    const char *stop[8];
    int list = json_get(j, 0, "stop");
    double temp = 1, max = 16;

    if (!en || prompt_model_init(&pm, engine_model(en), NULL, &e) ||
        encode_prompt(j, mem, &pm, false, &ids, &e))
        die(e.msg);
    json_num(j, json_get(j, 0, "temperature"), &temp);
    json_num(j, json_get(j, 0, "max_tokens"), &max);
    for (uint32_t k = 0; json_is(j, list, JSON_ARRAY) && k < j->node[list].size && k < 8; k++)
        stop[q.n_stop++] = json_str(j, json_at(j, list, k), mem, NULL);
    q.stop = stop;
    q.token = ids.id;
    q.n_token = (int)ids.n;
    q.sample.temp = (float)temp;
    q.max_tokens = (int)max;
    if (engine_submit(en, &q, &e))
        die(e.msg);
    while (!engine_poll(en, &d))
        if (engine_step(en, &e))
            die(e.msg);
    buf_add(text, d.text, d.n_text);
    *finish = d.finish == ENGINE_STOP ? "stop" : "length";
    buf_fmt(usage, "{\"prompt_tokens\":%d,\"completion_tokens\":%d}", d.n_prompt, d.n_tokens);
    tok_ids_free(&ids);
    prompt_model_free(&pm);
    engine_close(en);
}

/* The likeliest next tokens, as a completion of one token; in both interfaces in the same form, as
 * llama.cpp has them. */
static void answer_tokens(const struct server *s, const struct json *j, struct arena *mem,
                          bool chat, int n)
{
    const struct engine_opt o = {.batch = 1, .batch_tokens = 256, .threads = 1};
    struct engine_request q = {.max_tokens = 1, .n_logprobs = n, .ignore_eos = true};
    struct err e = {0};
    struct engine *en = engine_open(&o, s->model, &e);
    struct prompt_model pm;
    struct engine_result d = {0};
    struct tok_ids ids = {0};
    struct buf b = {0}, t = {0};

    if (!en || prompt_model_init(&pm, engine_model(en), NULL, &e) ||
        encode_prompt(j, mem, &pm, chat, &ids, &e))
        die(e.msg);
    q.token = ids.id;
    q.n_token = (int)ids.n;
    if (engine_submit(en, &q, &e))
        die(e.msg);
    while (!engine_poll(en, &d))
        if (engine_step(en, &e))
            die(e.msg);
    buf_fmt(&b, "{\"choices\":[{\"index\":0,%s",
            chat ? "\"message\":{\"role\":\"assistant\",\"content\":\"x\"}" : "\"text\":\"x\"");
    buf_str(
        &b,
        ",\"finish_reason\":\"length\",\"logprobs\":{\"content\":[{\"token\":\"x\",\"logprob\":0,"
        "\"top_logprobs\":[");
    for (int i = 0; i < n; i++) { // a SentencePiece model's first token has its blank taken off
        size_t k;
        const char *piece = tok_piece(pm.tok, d.top[i].id, &k);

        buf_reset(&t);
        buf_add(&t, piece, k);
        buf_str(&b, i ? ",{\"token\":" : "{\"token\":");
        json_put_str(&b, buf_cstr(&t), t.n);
        json_put_key(&b, "logprob");
        json_put_float(&b, d.top[i].logprob);
        buf_char(&b, '}');
    }
    buf_fmt(&b, "]}]}}],\"usage\":{\"prompt_tokens\":%d,\"completion_tokens\":1}}", d.n_prompt);
    reply_json(s, "200 OK", b.p);
    buf_free(&b);
    buf_free(&t);
    tok_ids_free(&ids);
    prompt_model_free(&pm);
    engine_close(en);
}

/* What the body says in its last "say{...}", whose escapes are JSON's. */
static bool said(const char *body, struct arena *mem, struct buf *text)
{
    struct buf quoted = {0};
    const char *from = NULL, *t;
    struct json j;
    struct err e;
    size_t n;

    for (const char *p = body; (p = strstr(p, "say{")); p++)
        from = p + 4;
    if (!from || !strchr(from, '}'))
        return false;
    buf_fmt(&quoted, "\"%.*s\"", (int)strcspn(from, "}"), from);
    if (json_parse(&j, mem, arena_dup(mem, quoted.p, quoted.n), quoted.n, &e))
        die("say{}");
    t = json_str(&j, 0, mem, &n);
    buf_add(text, t, n);
    buf_free(&quoted);
    return true;
}

/* The text that is answered, its finish_reason and usage. */
static void answer_text(const struct server *s, const char *body, const struct json *j,
                        struct arena *mem, struct buf *text, const char **finish, struct buf *usage)
{
    struct buf line = {0};
    struct json r;
    struct err e;
    double seed = 0;
    size_t n;
    const char *t;

    *finish = "stop";
    json_num(j, json_get(j, 0, "seed"), &seed);
    if (!s->model && said(body, mem, text)) {
        buf_str(usage, "{\"prompt_tokens\":7,\"completion_tokens\":5}");
        return;
    }
    if (!strcmp(s->plan, "korean")) {
        static const char *const place[] = {"시장에 있는", "학교 앞", "강가에서 주운", "산길의",
                                            "부엌에 둔",   "우리 집", "극장 안"};
        static const char *const thing[] = {"나무", "그림책을", "물고기와 새를", "의자", "구름"};
        static const char *const task[] = {
            "세는 법을 적으세요", "차례로 나열하세요",  "짧은 글로 그려 보세요", "왜 좋아하나요?",
            "어디에 쓰입니까?",   "이름 지어 주십시오", "무엇과 닮았는지 말해라"};

        buf_fmt(text, " %s %s %s", place[(int)seed % 7], thing[(int)seed / 7 % 5],
                task[(int)seed / 35 % 7]);
        return;
    }
    if (!s->model) {
        buf_fmt(text, " Name %d rivers of region %d and sort them by length %d.", (int)seed % 97,
                (int)seed % 89, (int)seed % 83);
        buf_str(usage, "{\"prompt_tokens\":7,\"completion_tokens\":5}");
        return;
    }
    if (json_get(j, 0, "messages") < 0) {
        go_on(s, j, mem, text, finish, usage);
        return;
    }
    ask_model(s, j, &line);
    if (!line.n || json_parse(&r, mem, arena_dup(mem, line.p, line.n - 1), line.n - 1, &e))
        return;
    t = json_str(&r, json_get(&r, 0, "output"), mem, &n);
    buf_add(text, t, n);
    *finish = json_str(&r, json_get(&r, 0, "finish_reason"), mem, NULL);
    t = json_raw(&r, json_get(&r, 0, "usage"), &n);
    buf_add(usage, t, n);
    buf_free(&line);
}

static void put_logprobs(const struct json *j, bool chat, struct buf *b)
{
    if (chat && json_true(j, json_get(j, 0, "logprobs")))
        buf_str(b, ",\"logprobs\":{\"content\":[{\"token\":\"a\",\"logprob\":-0.5,\"bytes\":[97],"
                   "\"top_logprobs\":[{\"token\":\"a\",\"logprob\":-0.5},"
                   "{\"token\":\"b\",\"logprob\":-1.25}]}]}");
    if (!chat && json_is(j, json_get(j, 0, "logprobs"), JSON_NUMBER))
        buf_str(b, ",\"logprobs\":{\"tokens\":[\"a\",\"b\"],\"token_logprobs\":[-0.5,-1],"
                   "\"top_logprobs\":[{\"a\":-0.5,\"c\":-2},{\"b\":-1}],\"text_offset\":[0,1]}");
}

static void answer(const struct server *s, const char *body, size_t n, bool chat)
{
    struct arena mem = {0};
    struct buf text = {0}, usage = {0}, b = {0};
    const char *finish;
    struct json j;
    struct err e;
    double top = 0;

    if (json_parse(&j, &mem, body, n, &e)) {
        reply_json(s, "400 Bad Request", "{\"error\":{\"message\":\"not JSON\"}}");
        return;
    }
    if (s->model && !json_num(&j, json_get(&j, 0, chat ? "top_logprobs" : "logprobs"), &top)) {
        answer_tokens(s, &j, &mem, chat, (int)top);
        arena_free(&mem);
        return;
    }
    answer_text(s, body, &j, &mem, &text, &finish, &usage);
    buf_str(&b, "{\"id\":\"1\",\"choices\":[{\"index\":0");
    buf_str(&b, chat ? ",\"message\":{\"role\":\"assistant\",\"content\":" : ",\"text\":");
    json_put_str(&b, buf_cstr(&text), text.n);
    buf_str(&b, chat ? "}" : "");
    buf_fmt(&b, ",\"finish_reason\":\"%s\"", finish);
    put_logprobs(&j, chat, &b);
    buf_fmt(&b, "}],\"usage\":%s}", usage.n ? usage.p : "null");
    reply_json(s, "200 OK", b.p);
    buf_free(&b);
    buf_free(&text);
    buf_free(&usage);
    arena_free(&mem);
}

/* A vector that depends on the text; a fault of its own is a list that is none. */
static void answer_vector(const struct server *s, const char *body, size_t n, const char *fault)
{
    struct arena mem = {0};
    struct buf b = {0}, list = {0};
    struct json j;
    struct err e;
    size_t size = 0;

    if (json_parse(&j, &mem, body, n, &e))
        die(e.msg);
    if (json_str(&j, json_get(&j, 0, "input"), &mem, &size) && strcmp(fault, "base64") != 0)
        buf_fmt(&list, "[0.1,-2,%zu]", size);
    else
        buf_str(&list, "\"AACAPw==\"");
    buf_fmt(&b, "{\"data\":[{\"index\":0,\"embedding\":%s}],\"usage\":{\"prompt_tokens\":3}}",
            list.p);
    reply_json(s, "200 OK", b.p);
    buf_free(&b);
    buf_free(&list);
    arena_free(&mem);
}

static void hang_up(const struct server *s)
{
    close(s->fd);
    _exit(0);
}

static void send_huge(const struct server *s)
{
    char part[1 << 16];

    memset(part, 'x', sizeof(part));
    reply(s, "200 OK", json_type_header, "{\"choices\":\"", HUGE_BYTES, 12);
    for (size_t n = 12; n < HUGE_BYTES; n += sizeof(part))
        put(s, part, sizeof(part));
    hang_up(s);
}

/* Do what is wrong; false: nothing is. */
static bool misbehave(const struct server *s, const char *fault, const char *key)
{
    static const char half[] = "{\"choices\":[{\"index\":0,\"message\":{\"content\":\"hal";
    static const struct {
        const char *name, *status, *more, *body;
    } fixed[] = {
        {"500", "500 Internal Server Error", json_type_header,
         "{\"error\":{\"message\":\"out of memory\"}}"},
        {"429", "429 Too Many Requests", "Retry-After: 2\r\nContent-Type: application/json\r\n",
         "{\"error\":{\"message\":\"slow down\"}}"},
        {"400", "400 Bad Request", json_type_header,
         "{\"error\":{\"message\":\"maximum context length is 5\",\"type\":\"x\"}}"},
        {"302", "302 Found", "Location: http://127.0.0.1:1/\r\n", ""},
        {"garbage", "200 OK", json_type_header, half},
        {"other", "200 OK", json_type_header, "{\"object\":\"list\"}"},
        {"html", "200 OK", "Content-Type: text/html\r\n", "<html>login</html>"},
        {"empty", "200 OK", json_type_header,
         "{\"choices\":[{\"message\":{\"content\":null},\"finish_reason\":\"length\"}]}"},
        {"filter", "200 OK", json_type_header,
         "{\"choices\":[{\"message\":{\"content\":\"\"},\"finish_reason\":\"content_filter\"}]}"}};
    struct buf b = {0};

    if (!strncmp(fault, "late", 4)) {
        usleep(300000);
        fault += 4;
    }
    for (size_t i = 0; i < sizeof(fixed) / sizeof(*fixed); i++)
        if (!strcmp(fault, fixed[i].name)) {
            reply(s, fixed[i].status, fixed[i].more, fixed[i].body, strlen(fixed[i].body),
                  strlen(fixed[i].body));
            return true;
        }
    if (!strcmp(fault, "401")) { // says the key back
        buf_fmt(&b, "{\"error\":{\"message\":\"bad key: %s\"}}", key);
        reply_json(s, "401 Unauthorized", b.p);
    } else if (!strcmp(fault, "cut")) {
        reply(s, "200 OK", json_type_header, half, 4096, strlen(half));
        hang_up(s);
    } else if (!strcmp(fault, "drop")) {
        hang_up(s);
    } else if (!strcmp(fault, "slow")) {
        sleep(60);
    } else if (!strcmp(fault, "huge")) {
        send_huge(s);
    } else {
        return false;
    }
    buf_free(&b);
    return true;
}

/* The fault of request k, or the one that the body asks for. */
static void fault_of(const struct server *s, const char *body, int k, char *name, size_t n)
{
    static const char letters[] = "abcdefghijklmnopqrstuvwxyz0123456789";
    const char *at = strstr(body, "fault="), *seed = strstr(body, "\"seed\":"), *p = s->plan, *next;

    if (at) {
        p = at + 6;
        next = p + strspn(p, letters);
        if (*next == '|' && seed && strtol(seed + 7, NULL, 10) % 2)
            p = next + 1;
    } else {
        for (; k && (next = strchr(p, ',')); k--)
            p = next + 1;
    }
    snprintf(name, n, "%.*s", (int)strspn(p, letters), p);
}

static void log_line(const struct server *s, const char *key, int at_once, const char *body,
                     size_t n)
{
    struct buf path = {0}, b = {0};
    int fd;

    buf_fmt(&path, "%s.log", s->file);
    buf_fmt(&b, "%s\t%.*s\t%d\n", key, (int)n, body, at_once);
    fd = open(path.p, O_WRONLY | O_CREAT | O_APPEND, 0666);
    if (fd < 0 || write(fd, b.p, b.n) < 0)
        die(path.p);
    close(fd);
    buf_free(&path);
    buf_free(&b);
}

/* The value of a header, up to the end of its line; "" when it is not there. */
static void header(const char *head, const char *name, char *out, size_t n)
{
    const char *at = strcasestr(head, name);

    snprintf(out, n, "%.*s", at ? (int)strcspn(at + strlen(name), "\r") : 0,
             at ? at + strlen(name) : "");
}

static void post(const struct server *s, const char *head, const char *body, size_t n)
{
    bool chat = !strncmp(head, "POST /v1/chat/completions ", 26);
    char key[512], fault[32];
    int open = ++s->shared->open;

    header(head, "Authorization: Bearer ", key, sizeof(key));
    log_line(s, key, open, body, n);
    fault_of(s, body, s->shared->posts++, fault, sizeof(fault));
    if (!strcmp(fault, "strict") && strstr(body, "continue_final_message")) {
        reply_json(s, "422 Unprocessable Entity", "{\"detail\":\"Unexpected fields\"}");
    } else if (!strcmp(fault, "newer") && strstr(body, "\"max_tokens\":")) {
        reply_json(s, "400 Bad Request",
                   "{\"error\":{\"message\":\"Unsupported parameter: 'max_tokens' is not supported "
                   "with this model. Use 'max_completion_tokens' instead.\",\"type\":"
                   "\"invalid_request_error\",\"param\":\"max_tokens\"}}");
    } else if (!misbehave(s, fault, key)) {
        if (chat || !strncmp(head, "POST /v1/completions ", 21))
            answer(s, body, n, chat);
        else if (!strncmp(head, "POST /v1/embeddings ", 20))
            answer_vector(s, body, n, fault);
        else
            reply_json(s, "404 Not Found", "{\"error\":{\"message\":\"no such address\"}}");
    }
    s->shared->open--;
}

/* One request off the front of what was read; false when it is not all there. */
static bool serve(const struct server *s, struct buf *in)
{
    char *end = in->n ? strstr(in->p, "\r\n\r\n") : NULL, length[32], *body;
    size_t n;

    if (!end)
        return false;
    *end = 0;
    body = end + 4;
    header(in->p, "Content-Length: ", length, sizeof(length));
    n = strtoul(length, NULL, 10);
    if ((size_t)(in->p + in->n - body) < n) {
        *end = '\r';
        return false;
    }
    if (!strncmp(in->p, "GET /v1/models ", 15)) {
        reply_json(s, "200 OK", "{\"object\":\"list\",\"data\":[{\"id\":\"test-model\"}]}");
    } else if (!strncmp(in->p, "GET /page/", 10)) {
        reply(s, "200 OK", "Content-Type: text/html\r\n", "<p>hi", 5, 5);
    } else if (!strncmp(in->p, "GET /lost/", 10)) {
        reply(s, "404 Not Found", "Content-Type: text/html; charset=x\r\n", "<p>gone", 7, 7);
    } else {
        post(s, in->p, body, n);
    }
    n += (size_t)(body - in->p);
    memmove(in->p, in->p + n, in->n - n + 1);
    in->n -= n;
    return true;
}

static void connection(const struct server *s)
{
    struct buf in = {0};
    char part[1 << 16];
    ssize_t n;

    prctl(PR_SET_PDEATHSIG, SIGKILL);
    while ((n = recv(s->fd, part, sizeof(part), 0)) > 0) {
        buf_add(&in, part, (size_t)n);
        if (*in.p == 0x16) { // TLS says hello
            reply_json(s, "400 Bad Request", "{}");
            break;
        }
        while (serve(s, &in))
            ;
    }
    _exit(0);
}

static void write_port(const char *file, int port)
{
    struct buf tmp = {0};
    FILE *f;

    buf_fmt(&tmp, "%s.tmp", file);
    f = fopen(tmp.p, "w");
    if (!f || fprintf(f, "%d\n", port) < 0 || fclose(f) || rename(tmp.p, file))
        die(file);
    buf_free(&tmp);
}

int main(int argc, char **argv)
{
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    struct server s = {.plan = argc > 2 ? argv[2] : "ok", .model = argc > 3 ? argv[3] : NULL};
    socklen_t n = sizeof(at);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    if (argc < 2)
        return 2;
    s.file = argv[1];
    s.shared =
        mmap(NULL, sizeof(*s.shared), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    signal(SIGCHLD, SIG_IGN);
    if (s.shared == MAP_FAILED || fd < 0 || bind(fd, (struct sockaddr *)&at, sizeof(at)) ||
        listen(fd, 128) || getsockname(fd, (struct sockaddr *)&at, &n))
        die("listen");
    write_port(s.file, ntohs(at.sin_port));
    while ((s.fd = accept(fd, NULL, NULL)) >= 0) {
        if (!fork()) {
            signal(SIGCHLD, SIG_DFL);
            connection(&s);
        }
        close(s.fd);
    }
    return 0;
}
