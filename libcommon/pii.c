/* pii.c - personal data by pattern. */
#include "pii.h"

#include <arpa/inet.h>
#include <stdint.h>
#include <string.h>

const char *const pii_names[] = {"email", "phone", "card", "ip", "iban", NULL};
static const char *const masks[] = {"<EMAIL>", "<PHONE>", "<CARD>", "<IP>", "<IBAN>"};

enum { LOCAL = 64, DOMAIN = 255, GROUPS = 20 };

int pii_parse(const char *list, unsigned *kinds, struct err *e)
{
    *kinds = 0;
    for (const char *p = list; *p;) {
        size_t n = strcspn(p, ",");
        int k = 0;

        while (pii_names[k] && (strlen(pii_names[k]) != n || memcmp(pii_names[k], p, n) != 0))
            k++;
        if (!pii_names[k])
            return err_set(e, ERR_ARG, "'%.*s' is none of email, phone, card, ip, iban",
                           n < 80 ? (int)n : 80, p);
        *kinds |= 1u << k;
        p += n + (p[n] == ',');
    }
    return *kinds ? 0 : err_set(e, ERR_ARG, "an empty list");
}

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static bool is_alpha(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

static bool is_word(char c)
{
    return is_digit(c) || is_alpha(c) || c == '_' || (unsigned char)c >= 0x80;
}

static bool is_hex(char c)
{
    return is_digit(c) || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F');
}

/* What stands before and after makes it part of something longer. The letters of other scripts
 * may touch a number (Korean particles do). */
static bool joined(const char *s, size_t n, size_t at, size_t len)
{
    return (at && (is_digit(s[at - 1]) || is_alpha(s[at - 1]) || s[at - 1] == '_')) ||
           (at + len < n && (is_digit(s[at + len]) || is_alpha(s[at + len]) || s[at + len] == '_'));
}

/* ---- e-mail: found at its '@' ---- */

static bool is_local(char c)
{
    return is_digit(c) || is_alpha(c) || (c && strchr(".!#$%&'*+/=?^_`{|}~-", c));
}

static bool email(const char *s, size_t n, size_t from, size_t at, struct pii_hit *h)
{
    size_t begin = at, end = at + 1, label = end, dots = 0, last = 0;

    while (begin > from && at - begin < LOCAL && is_local(s[begin - 1]))
        begin--;
    while (begin < at && strchr(".'/{|}`=?!", s[begin])) // quotes and brackets around it
        begin++;
    if (begin == at || s[at - 1] == '.')
        return false;
    while (end < n && end - at <= DOMAIN) {
        bool letters = true;

        for (label = end; end < n && (is_digit(s[end]) || is_alpha(s[end]) || s[end] == '-'); end++)
            letters = letters && is_alpha(s[end]);
        if (end == label || s[label] == '-' || s[end - 1] == '-')
            break;
        if (dots && letters && end - label >= 2)
            last = end;
        if (end >= n || s[end] != '.')
            break;
        dots++;
        end++;
    }
    *h = (struct pii_hit){PII_EMAIL, begin, last ? last - begin : 0};
    if (at - begin == 3 && !memcmp(s + begin, "git", 3) && last < n && s[last] == ':')
        return false; // git@host:path is a repository
    return last > 0;
}

/* ---- numbers: found at their first digit ---- */

/* Digits in groups, from s[at] on. */
struct number {
    size_t len;         // bytes, up to the last digit
    int digits, groups; // in all; runs of digits
    int size[GROUPS];   // of the groups
    char sep[GROUPS];   // before the group: ' ' '-' '.' '/' '(' (for brackets), 0 for the first
    char digit[32];
};

static void read_number(const char *s, size_t n, size_t at, struct number *x)
{
    size_t i = at;
    char sep = 0;

    *x = (struct number){0};
    while (i < n && x->groups < GROUPS) {
        int size = 0;

        for (; i < n && is_digit(s[i]) && x->digits < 31; i++, size++)
            x->digit[x->digits++] = s[i];
        if (!size)
            break;
        x->sep[x->groups] = sep;
        x->size[x->groups++] = size;
        x->len = i - at;
        sep = 0;
        if (i < n && s[i] == ')') {
            sep = '(';
            i++;
        }
        if (i + 1 < n && (s[i] == ' ' || s[i] == '-' || s[i] == '.' || s[i] == '/')) {
            sep = sep ? sep : s[i];
            i++;
        }
        if (i < n && s[i] == '(') {
            sep = '(';
            i++;
        }
        if (!sep)
            break;
    }
}

static bool luhn(const char *d, int n)
{
    int sum = 0;

    for (int i = 0; i < n; i++) {
        int v = d[n - 1 - i] - '0';

        v = i & 1 ? 2 * v : v;
        sum += v > 9 ? v - 9 : v;
    }
    return sum % 10 == 0;
}

static bool card(const struct number *x)
{
    bool same = true;

    for (int i = 1; i < x->groups; i++)
        if (x->sep[i] != x->sep[1] || (x->sep[i] != ' ' && x->sep[i] != '-'))
            return false;
    for (int i = 1; i < x->digits; i++)
        same = same && x->digit[i] == x->digit[0];
    return x->digits >= 13 && x->digits <= 19 && x->digit[0] >= '2' && x->digit[0] <= '6' &&
           (x->groups == 1 || x->size[0] == 4) && !same && luhn(x->digit, x->digits);
}

/* Behind 00, the international prefix of many countries, apart or with the country's digits: no
 * rows of pairs, as dumps of bytes are, nor of other groups of one size. */
static bool abroad(const struct number *x)
{
    bool longer = false, alike = true;

    for (int i = 1; i < x->groups; i++) {
        longer = longer || x->size[i] > 2;
        alike = alike && x->size[i] == x->size[0];
    }
    return x->size[0] <= 5 && x->digit[2] != '0' && longer && !alike && x->groups <= 6 &&
           x->digits >= 11 && x->digits <= 17;
}

/* Three to five groups as people write them, all of one kind but for brackets. */
static bool phone(const struct number *x, bool plus)
{
    int first = x->groups > 3 && x->size[0] == 1 && x->digit[0] == '1'; // 1-800-...
    char area = x->digit[first];

    for (int i = 1; i < x->groups; i++)
        if (x->sep[i] == '/' && i > 1)
            return false;
    if (plus)
        return x->digits >= 8 && x->digits <= 15 && x->digit[0] != '0';
    if (x->groups - first == 3 && x->size[first] == 3 && x->size[first + 1] == 3 &&
        x->size[first + 2] == 4)
        return area >= '2' || area == '0';
    if (x->groups >= 3 && x->size[0] >= 2 && !memcmp(x->digit, "00", 2))
        return abroad(x);
    if (x->groups == 1)
        return x->digits == 11 && !memcmp(x->digit, "010", 3); // mobile, in Korea
    for (int i = 0; i < x->groups; i++)
        if (x->size[i] < 2 || x->size[i] > 4)
            return false;
    return x->groups >= 3 && x->groups <= 5 && x->digit[0] == '0' && x->digits >= 9 &&
           x->digits <= 11;
}

/* Written as d.d.d.d, routed. */
static bool ip4(const char *s, size_t n, size_t at, size_t *len)
{
    char text[16];
    unsigned char b[4];
    size_t k = 0;

    while (at + k < n && k < 15 && (is_digit(s[at + k]) || s[at + k] == '.'))
        k++;
    while (k && s[at + k - 1] == '.') // the end of a sentence
        k--;
    memcpy(text, s + at, k);
    text[k] = 0;
    *len = k;
    if (inet_pton(AF_INET, text, b) != 1 || (at && s[at - 1] == '.'))
        return false;
    if (at + k + 1 < n && ((s[at + k] == '.' && is_digit(s[at + k + 1])) ||
                           (s[at + k] == '-' && is_alpha(s[at + k + 1])))) // 1.2.3.4-beta
        return false;
    return !(b[0] == 0 || b[0] == 10 || b[0] == 127 || b[0] >= 224 ||
             (b[0] == 100 && b[1] >= 64 && b[1] < 128) || (b[0] == 169 && b[1] == 254) ||
             (b[0] == 172 && b[1] >= 16 && b[1] < 32) || (b[0] == 192 && b[1] == 168) ||
             (b[0] == 192 && b[1] == 0 && (b[2] == 0 || b[2] == 2)) ||
             (b[0] == 198 && (b[1] == 18 || b[1] == 19 || (b[1] == 51 && b[2] == 100))) ||
             (b[0] == 203 && b[1] == 0 && b[2] == 113));
}

/* Does a group of hexadecimal digits and its ':' stand before s[at]? */
static bool behind_group(const char *s, size_t at)
{
    size_t i = at ? at - 1 : 0;

    if (!at || s[i] != ':')
        return false;
    while (i && at - i <= 5 && is_hex(s[i - 1]))
        i--;
    return i < at - 1 && (!i || !is_word(s[i - 1]));
}

/* Found at its first ':'. */
static bool ip6(const char *s, size_t n, size_t from, size_t at, struct pii_hit *h)
{
    size_t begin = at, end = at;
    unsigned char b[16];
    char text[46];

    while (begin > from && at - begin < 4 && is_hex(s[begin - 1]))
        begin--;
    while (end < n && end - begin < 45 && (is_hex(s[end]) || s[end] == ':' || s[end] == '.'))
        end++;
    while (end > begin + 1 && (s[end - 1] == '.' || (s[end - 1] == ':' && s[end - 2] != ':')))
        end--;
    memcpy(text, s + begin, end - begin);
    text[end - begin] = 0;
    if (end - begin < 6 || joined(s, n, begin, end - begin) || behind_group(s, begin) ||
        inet_pton(AF_INET6, text, b) != 1)
        return false;
    *h = (struct pii_hit){PII_IP, begin, end - begin};
    return (b[0] & 0xE0) == 0x20 && !(b[0] == 0x20 && b[1] == 1 && b[2] == 0x0D && b[3] == 0xB8);
}

/* ---- accounts ---- */

static bool iban(const char *s, size_t n, size_t at, struct pii_hit *h)
{
    char c[35];
    size_t end = at, last = at;
    int k = 0, mod = 0;

    if (n - at < 15 || !is_alpha(s[at + 1]) || s[at + 1] >= 'a' || !is_digit(s[at + 2]) ||
        !is_digit(s[at + 3]))
        return false;
    while (end < n && k < 34) {
        if (s[end] == ' ' && k % 4 == 0 && k) {
            end++;
            continue;
        }
        if (!is_digit(s[end]) && !(s[end] >= 'A' && s[end] <= 'Z'))
            break;
        c[k++] = s[end++];
        last = end;
    }
    for (; k >= 15; k--) { // a word in capitals may follow
        mod = 0;
        for (int i = 0; i < k; i++) {
            char x = c[(i + 4) % k];

            mod = is_digit(x) ? (mod * 10 + x - '0') % 97 : (mod * 100 + x - 'A' + 10) % 97;
        }
        if (mod == 1 && !joined(s, n, at, last - at))
            break;
        do
            last--;
        while (last > at && s[last - 1] == ' ');
    }
    *h = (struct pii_hit){PII_IBAN, at, last - at};
    return k >= 15;
}

/* ---- all ---- */

/* Fewer digits than any number has, and none after what may stand between groups? */
static bool is_short(const char *s, size_t n, size_t at)
{
    size_t i = at;

    while (i < n && is_digit(s[i]))
        i++;
    if (i - at > 10)
        return false;
    i += i < n && s[i] == ')';
    i += i + 1 < n && (s[i] == ' ' || s[i] == '-' || s[i] == '.' || s[i] == '/');
    i += i < n && s[i] == '(';
    return i >= n || !is_digit(s[i]);
}

static bool number(const char *s, size_t n, unsigned kinds, size_t at, struct pii_hit *h)
{
    bool plus = s[at] == '+', open = s[at] == '(';
    struct number x;
    size_t len, lead;

    if (plus || open) {
        if (at + 1 >= n || !(is_digit(s[at + 1]) || (plus && s[at + 1] == '(')))
            return false;
        lead = s[at + 1] == '(' ? 2 : 1;
        read_number(s, n, at + lead, &x);
        x.len += lead;
        if (open && !memchr(s + at, ')', x.len))
            return false; // the bracket is around more than the number, which is found by itself
        if (!(kinds & 1u << PII_PHONE) || !phone(&x, plus) || joined(s, n, at, x.len))
            return false;
        *h = (struct pii_hit){PII_PHONE, at, x.len};
        return true;
    }
    if (is_short(s, n, at))
        return false;
    if (kinds & 1u << PII_IP && ip4(s, n, at, &len) && !joined(s, n, at, len)) {
        *h = (struct pii_hit){PII_IP, at, len};
        return true;
    }
    read_number(s, n, at, &x);
    *h = (struct pii_hit){PII_CARD, at, x.len};
    if (joined(s, n, at, x.len) || (at && (s[at - 1] == '.' || s[at - 1] == '-')))
        return false;
    if (kinds & 1u << PII_CARD && card(&x))
        return true;
    h->kind = PII_PHONE;
    return kinds & 1u << PII_PHONE && phone(&x, false);
}

static bool found(const char *s, size_t n, unsigned kinds, size_t from, size_t at,
                  struct pii_hit *h)
{
    char c = s[at];

    if (c == '@')
        return kinds & 1u << PII_EMAIL && email(s, n, from, at, h);
    if (c == ':')
        return kinds & 1u << PII_IP && ip6(s, n, from, at, h);
    if (c >= 'A' && c <= 'Z')
        return kinds & 1u << PII_IBAN && (!at || !is_word(s[at - 1])) && iban(s, n, at, h);
    if (c == '+' || c == '(' || (is_digit(c) && (!at || !is_digit(s[at - 1]))))
        return number(s, n, kinds, at, h);
    return false;
}

/* An account begins two letters before its first digit. */
static bool account(const char *s, size_t n, unsigned kinds, size_t from, size_t at,
                    struct pii_hit *h)
{
    return at >= from + 2 && s[at - 1] >= 'A' && s[at - 1] <= 'Z' && s[at - 2] >= 'A' &&
           s[at - 2] <= 'Z' && found(s, n, kinds, from, at - 2, h);
}

bool pii_next(const struct kinds *t, unsigned kinds, size_t *at, struct pii_hit *h)
{
    size_t from = *at, n = t->n; // what was found before is not part of the next
    const char *s = t->s;

    for (; (*at = kinds_next_before(t->data, *at, n)) < n; ++*at) {
        if ((is_digit(s[*at]) && account(s, n, kinds, from, *at, h)) ||
            found(s, n, kinds, from, *at, h)) {
            *at = h->at + h->n;
            return true;
        }
        while (*at + 1 < n && is_digit(s[*at]) && is_digit(s[*at + 1])) // all begins at the first
            ++*at;
    }
    return false;
}

int pii_mask(const char *s, size_t n, unsigned kinds, struct buf *out)
{
    struct kinds t = {0};
    struct pii_hit h;
    size_t at = 0, done = 0;
    int k = 0;

    for (kinds_text(&t, s, n); pii_next(&t, kinds, &at, &h); k++) {
        buf_add(out, s + done, h.at - done);
        buf_str(out, masks[h.kind]);
        done = h.at + h.n;
    }
    buf_add(out, s + done, n - done);
    kinds_free(&t);
    return k;
}
