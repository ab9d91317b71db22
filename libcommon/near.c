/* near.c - near-duplicate texts: an index of MinHash bands, in memory and beyond it, or in files.
 *
 * The head is mapped; the others are written and read (pile.h), as they are met rarely: only where
 * a band is shared.
 *
 *   head    one struct head
 *   texts   (n_text) struct text: where its words and its id are
 *   words   u16, the texts' words one behind the other: minhash.h's
 *   ids     bytes
 *   table   bands.h: which texts have a band
 *
 * A text is in the index once head.n_text says so. The table has all of the first n_table texts;
 * the bands of the others are in memory, and are computed again when the index is opened. It may
 * name texts beyond n_text that a kill kept from being counted: they only lead to a comparison that
 * fails. */
#include "near.h"

#include "bands.h"
#include "buf.h"
#include "grow.h"
#include "hash.h"
#include "kinds.h"
#include "mem.h"
#include "pile.h"

#include <errno.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

enum { PART = 4096 }; // texts read together

static const char MAGIC[8] = "llmnear7";
const char *const near_files[] = {"head", "texts", "words", "ids", "table", "table.new", NULL};

struct head {
    char magic[8], boot[40];
    double threshold;
    int32_t bands, rows;
    uint64_t n_text, n_table;
    uint32_t open, building; // not closed since; the table is not whole
};

struct text {
    uint64_t word_at, id_at; // in `words`, counted in u16, and in `ids`
    uint64_t run;            // which run added it
    uint64_t sketch;         // of its set
    uint64_t check;          // hash of all that but `run`
    uint32_t n_word, n_id;
};

struct near {
    double threshold;
    struct near_place at;
    struct minhash m;
    struct grow head;
    struct bands *table;
    struct grow sketch; // (n_text) u64
    struct pile texts, words, ids;
    struct buf text, word, id; // room for what is read of them
    uint32_t *like;            // (cap_like) texts that share a band with the one at hand
    size_t cap_like;
    uint64_t known;       // texts up to the last that was met by its own run, or added
    const uint64_t *next; // bands of the set that is met soon, or NULL
};

static struct head *head(const struct near *x)
{
    return x->head.p;
}

int near_bands(const struct near *x)
{
    return x->m.bands;
}

int near_rows(const struct near *x)
{
    return x->m.rows;
}

double near_recall(const struct near *x)
{
    return minhash_recall(&x->m, x->threshold);
}

size_t near_size(const struct near *x)
{
    return head(x)->n_text;
}

/* ---- texts ---- */

/* Text i; -1 when it does not lie in the files (they may have been tampered with). */
static int text_at(struct near *x, uint64_t i, struct text *t)
{
    const void *p =
        i < head(x)->n_text ? pile_get(&x->texts, i * sizeof(*t), sizeof(*t), &x->text) : NULL;

    if (!p)
        return -1;
    memcpy(t, p, sizeof(*t));
    return t->word_at <= x->words.n / sizeof(uint16_t) && t->n_word >= MINHASH_WORDS ? 0 : -1;
}

/* Its words, and its id, until the next call; NULL likewise. */
static const uint16_t *words_of(struct near *x, const struct text *t)
{
    return pile_get(&x->words, t->word_at * sizeof(uint16_t), t->n_word * sizeof(uint16_t),
                    &x->word);
}

static const char *id_of(struct near *x, const struct text *t)
{
    return pile_get(&x->ids, t->id_at, t->n_id, &x->id);
}

static uint64_t check_of(const struct text *t, const uint16_t *word, const char *id)
{
    struct hash128 h = hash_add(hash_bytes(word, t->n_word * sizeof(*word)), id, t->n_id);

    return hash_add(h, &t->sketch, sizeof(t->sketch)).lo;
}

/* ---- table ---- */

static uint32_t tag_of(uint64_t key)
{
    return (uint32_t)(key >> 32);
}

/* The bands of text i, which is in the files. Each is a place in memory of its own: all are asked
 * for before the first is waited for. */
static int put(struct near *x, uint32_t i, const uint64_t *key, struct err *e)
{
    for (int b = 0; b < x->m.bands; b++)
        bands_soon(x->table, tag_of(key[b]));
    for (int b = 0; b < x->m.bands; b++) {
        int rc = bands_put(x->table, tag_of(key[b]), i, e);

        if (rc < 0)
            return -1;
        if (rc)
            head(x)->n_table = i;
    }
    return 0;
}

/* The bands of the texts that the table does not have. */
static int catch_up(struct near *x, struct err *e)
{
    struct minhash_set set = {0};
    uint64_t key[MINHASH_MAX];
    int rc = 0;

    for (uint64_t i = head(x)->n_table; !rc && i < head(x)->n_text; i++) {
        struct text t;
        const uint16_t *word = text_at(x, i, &t) ? NULL : words_of(x, &t);

        if (!word) {
            rc = err_set(e, ERR_DATA, "text %llu of the index does not lie in its files",
                         (unsigned long long)i);
            continue;
        }
        minhash_take(&set, word, t.n_word);
        minhash_keys(&x->m, &set, key);
        rc = put(x, (uint32_t)i, key, e);
    }
    minhash_set_free(&set);
    return rc;
}

/* All of them into an empty table. */
static int rebuild(struct near *x, struct err *e)
{
    head(x)->building = 1; // a kill from here on leaves a table to be made again
    head(x)->n_table = 0;
    if (bands_clear(x->table, e) || catch_up(x, e))
        return -1;
    head(x)->building = 0;
    return 0;
}

/* ---- opening ---- */

/* Names this boot of the machine: what was mapped and stored since it began is not lost. */
static void boot_name(char out[40])
{
    FILE *f = fopen("/proc/sys/kernel/random/boot_id", "re");

    memset(out, 0, 40);
    if (f && !fgets(out, 38, f))
        *out = 0;
    if (f)
        fclose(f);
}

static int open_pile(const struct near *x, struct pile *p, const char *name, size_t share,
                     struct err *e)
{
    struct buf path = {0};
    int rc = 0;

    if (!x->at.dir) {
        pile_temp(p, x->at.memory / share, x->at.tmp);
        return 0;
    }
    buf_fmt(&path, "%s/%s", x->at.dir, name);
    rc = pile_open(p, path.p, e);
    buf_free(&path);
    return rc;
}

/* Whether something is at a path that is more than an empty file, which a kill at the very start
 * leaves. */
static bool is_taken(const char *path)
{
    struct stat st;

    return !stat(path, &st) && (st.st_size || !S_ISREG(st.st_mode));
}

/* Whether a file begins as a head does. */
static bool is_head(const char *path)
{
    char magic[sizeof(MAGIC)];
    FILE *f = fopen(path, "re");
    bool is = f && fread(magic, sizeof(magic), 1, f) == 1 && !memcmp(magic, MAGIC, sizeof(magic));

    if (f)
        fclose(f);
    return is;
}

/* Before anything is opened for writing: without a head that is ours, files by our names are
 * somebody else's. */
static int check_foreign(const char *dir, struct err *e)
{
    struct buf path = {0};
    int rc = 0;

    for (size_t i = 0; !rc && near_files[i]; i++) {
        buf_reset(&path);
        buf_fmt(&path, "%s/%s", dir, near_files[i]);
        if (!i && is_head(path.p))
            break;
        if (is_taken(path.p))
            rc = err_set(e, ERR_DATA, "'%s' is no part of an index of near duplicates", path.p);
    }
    buf_free(&path);
    return rc;
}

static int open_files(struct near *x, struct err *e)
{
    const char *dir = x->at.dir;
    struct buf path = {0};
    int rc = 0;

    if (dir && mkdir(dir, 0777) && errno != EEXIST)
        return err_set(e, ERR_IO, "cannot make '%s': %s", dir, strerror(errno));
    if (dir && check_foreign(dir, e))
        return -1;
    buf_fmt(&path, "%s/head", dir ? dir : "");
    rc = grow_open(&x->head, dir ? path.p : NULL, e);
    buf_free(&path);
    // file systems that know no locks are taken as they are
    if (!rc && dir && flock(x->head.fd, LOCK_EX | LOCK_NB) && errno == EWOULDBLOCK)
        rc = err_set(e, ERR_ARG, "'%s' is in use by another process", dir);
    return rc || open_pile(x, &x->texts, "texts", 128, e) ||
           open_pile(x, &x->words, "words", 64, e) || open_pile(x, &x->ids, "ids", 128, e);
}

/* What the machine lost when it went down is cut off. */
static int recover(struct near *x, struct err *e)
{
    struct text t;
    uint64_t n = 0;

    for (;; n++) {
        const uint16_t *word = text_at(x, n, &t) ? NULL : words_of(x, &t);
        const char *id = word ? id_of(x, &t) : NULL;

        if (!id || t.check != check_of(&t, word, id))
            break;
    }
    head(x)->n_table = 0;
    head(x)->n_text = n;
    return rebuild(x, e);
}

/* Sketches of the texts that are there. */
static int load_sketches(struct near *x, struct err *e)
{
    uint64_t n = head(x)->n_text;

    if (grow_room(&x->sketch, (size_t)n * sizeof(uint64_t), e))
        return -1;
    for (uint64_t i = 0; i < n;) {
        uint64_t *to = (uint64_t *)x->sketch.p + i;
        size_t k = n - i < PART ? (size_t)(n - i) : PART;
        const char *p =
            pile_get(&x->texts, i * sizeof(struct text), k * sizeof(struct text), &x->text);

        if (!p)
            return err_set(e, ERR_IO, "cannot read the texts of the index: %s", strerror(errno));
        for (size_t j = 0; j < k; j++)
            memcpy(to + j, p + j * sizeof(struct text) + offsetof(struct text, sketch),
                   sizeof(*to));
        i += k;
    }
    return 0;
}

static int check_head(struct near *x, const char *dir, struct err *e)
{
    struct head *h = head(x);

    if (x->head.cap < sizeof(*h) || memcmp(h->magic, MAGIC, sizeof(MAGIC)) != 0)
        return err_set(e, ERR_DATA, "'%s/head' is no index of near duplicates", dir);
    if (h->threshold < x->threshold || h->threshold > x->threshold || h->bands != x->m.bands ||
        h->rows != x->m.rows)
        return err_set(e, ERR_ARG, "'%s' was made with --near %g, not %g", dir, h->threshold,
                       x->threshold);
    if (h->n_text > x->texts.n / sizeof(struct text) || h->n_text >= UINT32_MAX ||
        h->n_table > h->n_text)
        return err_set(e, ERR_DATA, "'%s': the head does not fit the other files", dir);
    return 0;
}

static int open_all(struct near *x, const char *dir, struct err *e)
{
    char boot[40];
    bool fresh, lost;
    int rc;

    if (open_files(x, e))
        return -1;
    fresh = !x->head.cap;
    if (grow_room(&x->head, sizeof(struct head), e))
        return -1;
    boot_name(boot);
    if (fresh) {
        *head(x) = (struct head){.threshold = x->threshold, .bands = x->m.bands, .rows = x->m.rows};
        memcpy(head(x)->magic, MAGIC, sizeof(MAGIC));
    } else if (check_head(x, dir, e)) {
        return -1;
    }
    lost = head(x)->open && memcmp(head(x)->boot, boot, sizeof(boot)) != 0;
    if (!(x->table = bands_open(dir, lost || head(x)->building, x->at.memory / 2, x->at.tmp, e)))
        return -1;
    if (lost)
        rc = recover(x, e);
    else
        rc = head(x)->building ? rebuild(x, e) : catch_up(x, e);
    if (rc || load_sketches(x, e))
        return -1;
    memcpy(head(x)->boot, boot, sizeof(boot));
    head(x)->open = 1;
    return dir ? grow_sync(&x->head, e) : 0;
}

struct near *near_open(double threshold, const struct near_place *at, struct err *e)
{
    struct near *x = mem_zero(1, sizeof(*x));
    struct err why;

    x->threshold = threshold;
    x->at = *at;
    minhash_init(&x->m, threshold);
    grow_open(&x->sketch, NULL, e);
    if (!open_all(x, at->dir, e))
        return x;
    if (x->head.cap) // not as it should be: leave it so
        x->threshold = -1;
    near_close(x, &why);
    return NULL;
}

int near_close(struct near *x, struct err *e)
{
    int rc = 0;

    if (!x)
        return 0;
    if (x->threshold > 0 && x->table) {
        rc = pile_sync(&x->words, e) || pile_sync(&x->ids, e) || pile_sync(&x->texts, e) ||
             bands_sync(x->table, e);
        if (!rc) {
            head(x)->open = 0;
            rc = grow_sync(&x->head, e);
        }
    }
    grow_close(&x->head);
    grow_close(&x->sketch);
    pile_close(&x->texts);
    pile_close(&x->words);
    pile_close(&x->ids);
    bands_close(x->table);
    buf_free(&x->text);
    buf_free(&x->word);
    buf_free(&x->id);
    free(x->like);
    free(x);
    return rc ? -1 : 0;
}

/* ---- meeting ---- */

static int add(struct near *x, const struct minhash_set *set, const uint64_t *key, const char *id,
               uint64_t run, struct err *e)
{
    struct head *h = head(x);
    uint64_t n = h->n_text;
    struct text t = {.run = run, .sketch = set->sketch, .n_word = (uint32_t)set->n}, last;

    t.n_id = (uint32_t)strlen(id);

    if (n >= UINT32_MAX - 1)
        return err_set(e, ERR_MEM, "more than %u texts in the index", UINT32_MAX - 1);
    if (n && text_at(x, n - 1, &last))
        return err_set(e, ERR_DATA, "the index's last text does not lie in its files");
    t.word_at = n ? last.word_at + last.n_word : 0;
    t.id_at = n ? last.id_at + last.n_id : 0;
    t.check = check_of(&t, set->word, id);
    if (pile_put(&x->words, t.word_at * sizeof(*set->word), set->word, set->n * sizeof(*set->word),
                 e) ||
        pile_put(&x->ids, t.id_at, id, t.n_id, e) ||
        pile_put(&x->texts, n * sizeof(t), &t, sizeof(t), e))
        return -1;
    if (grow_room(&x->sketch, (size_t)(n + 1) * sizeof(uint64_t), e) || put(x, (uint32_t)n, key, e))
        return -1;
    ((uint64_t *)x->sketch.p)[n] = set->sketch;
    h->n_text = n + 1;
    x->known = n + 1;
    return 0;
}

/* Whether text i is the one at hand, added by the same run. */
static bool is_same(struct near *x, const struct minhash_set *set, uint32_t i, const char *id,
                    uint64_t run)
{
    struct text t;

    return i < head(x)->n_text && ((const uint64_t *)x->sketch.p)[i] == set->sketch &&
           !text_at(x, i, &t) && t.run == run && t.n_word == set->n && t.n_id == strlen(id) &&
           t.check == check_of(&t, set->word, id);
}

static void know(struct near *x, uint32_t i)
{
    x->known = i + 1 > x->known ? i + 1 : x->known;
}

/* The text `i` of a band compared with the one at hand: is it the best so far? */
static void compare(struct near *x, struct minhash_set *set, uint32_t i, uint32_t *best,
                    double *most)
{
    const uint16_t *word;
    struct text t;
    double j;

    if (i >= head(x)->n_text ||
        kinds_ones(((const uint64_t *)x->sketch.p)[i] ^ set->sketch) > (size_t)x->m.apart ||
        text_at(x, i, &t))
        return;
    if (!(word = words_of(x, &t)))
        return;
    j = minhash_jaccard(set, word, t.n_word);
    if (j >= x->threshold && (j > *most || (j >= *most && i < *best))) {
        *most = j;
        *best = i;
    }
}

void near_keys(const struct near *x, struct minhash_set *set, uint64_t key[MINHASH_MAX])
{
    minhash_keys(&x->m, set, key);
}

void near_soon(struct near *x, const uint64_t key[MINHASH_MAX])
{
    x->next = key;
}

static int by_number(const void *a, const void *b)
{
    uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;

    return (x > y) - (x < y);
}

/* Texts that share a band, ascending, each once, in x->like; how many, or -1. On the way the bands
 * of the set that comes next are told, as a processor forgets what it is told at once. */
static int64_t gather(struct near *x, const uint64_t key[MINHASH_MAX], struct err *e)
{
    const uint64_t *next = x->next;
    size_t n = 0, k = 0;

    x->next = NULL;
    for (int b = 0; b < x->m.bands; b++) {
        const uint32_t *text;
        size_t more;

        if (next)
            bands_soon(x->table, tag_of(next[b]));

        if (bands_find(x->table, tag_of(key[b]), &text, &more, e))
            return -1;
        mem_grow(&x->like, &x->cap_like, n + more + 1, sizeof(*x->like));
        for (size_t i = 0; i < more; i++)
            x->like[n++] = text[i];
    }
    if (n > 1)
        qsort(x->like, n, sizeof(*x->like), by_number);
    for (size_t i = 0; i < n; i++)
        if (!i || x->like[i] != x->like[i - 1])
            x->like[k++] = x->like[i];
    return (int64_t)k;
}

int near_meet(struct near *x, struct minhash_set *set, const uint64_t key[MINHASH_MAX],
              const char *id, uint64_t run, struct near_hit *hit, struct err *e)
{
    int64_t n = gather(x, key, e);
    uint32_t best = UINT32_MAX;
    const char *kept;
    struct text t;
    double most = 0;

    if (n < 0)
        return -1;
    for (int64_t i = 0; i < n; i++)
        compare(x, set, x->like[i], &best, &most);
    if (best == UINT32_MAX)
        return add(x, set, key, id, run, e);
    if (run && is_same(x, set, best, id, run)) {
        know(x, best);
        return 0;
    }
    if (text_at(x, best, &t) || !(kept = id_of(x, &t)))
        return err_set(e, ERR_DATA, "text %u of the index does not lie in its files", best);
    *hit = (struct near_hit){kept, t.n_id, most};
    return 1;
}

/* It is there, most often behind the last that was; or else its bands are, of which one tells. */
int near_add(struct near *x, struct minhash_set *set, const uint64_t key[MINHASH_MAX],
             const char *id, uint64_t run, struct err *e)
{
    uint32_t at = (uint32_t)x->known;
    bool there = is_same(x, set, at, id, run);
    const uint32_t *text;
    size_t n = 0;

    if (!there && bands_find(x->table, tag_of(key[0]), &text, &n, e))
        return -1;
    for (size_t i = 0; !there && i < n; i++) {
        at = text[i];
        there = is_same(x, set, at, id, run);
    }
    if (!there)
        return add(x, set, key, id, run, e);
    know(x, at);
    return 0;
}

/* Pairs that name what was let go lead to comparisons that fail, or to those of its successor. */
void near_cut(struct near *x, uint64_t run)
{
    struct head *h = head(x);
    struct text t;

    while (run && h->n_text > x->known && !text_at(x, h->n_text - 1, &t) && t.run == run) {
        if (h->n_table == h->n_text) // what comes now is not in the table
            h->n_table--;
        h->n_text--;
    }
}
