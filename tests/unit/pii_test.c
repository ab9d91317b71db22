/* pii_test.c - personal data by pattern. Numbers: the test numbers of card companies, the examples
 * of ISO 13616, and numbers set aside for fiction. */
#include "pii.h"
#include "test.h"

#include <string.h>

static bool masked(const char *s, const char *want)
{
    struct buf b = {0};
    bool same;

    pii_mask(s, strlen(s), ~0u, &b);
    same = !strcmp(buf_cstr(&b), want);
    if (!same)
        printf("# %s\n#   -> %s\n", s, buf_cstr(&b));
    buf_free(&b);
    return same;
}

static bool clean(const char *s)
{
    return masked(s, s);
}

static void mail(void)
{
    CHECK(masked("Write to joe.bloggs+x@mail.example.org.", "Write to <EMAIL>."));
    CHECK(masked("<a@b.co>, 'c_d@e-f.museum'", "<<EMAIL>>, '<EMAIL>'"));
    CHECK(masked("메일은 kim@example.kr로", "메일은 <EMAIL>로"));
    CHECK(masked("a@b.com@c.com", "<EMAIL>@c.com"));
    CHECK(clean("@user meet me @ 5") && clean("x@localhost") && clean("a@b.c") &&
          clean("a@-b.com"));
    CHECK(clean("git@github.com:user/repo.git") && masked("git@x.com, me", "<EMAIL>, me"));
    CHECK(clean("print(f\"{x@y.z}\")") && clean("x @ y") && clean("a@b..com"));
    CHECK(clean("@property\ndef x(self):") && clean("a.@b.com") && clean("@") && clean("a@"));
}

static void phones(void)
{
    CHECK(masked("Call +1 (212) 555-0100 now", "Call <PHONE> now"));
    CHECK(masked("(212) 555-0100, 212-555-0100, 212.555.0100, 1-800-555-0199",
                 "<PHONE>, <PHONE>, <PHONE>, <PHONE>"));
    CHECK(masked("전화 010-1234-5678이나 01012345678, 02-123-4567",
                 "전화 <PHONE>이나 <PHONE>, <PHONE>"));
    CHECK(masked("+49 30 123456, +442079460958", "<PHONE>, <PHONE>"));
    CHECK(masked("020 7946 0958 or 06 12 34 56 78", "<PHONE> or <PHONE>"));
    CHECK(clean("01-02-2003 and 2026-11-21 12:30:45") && clean("1234567890") &&
          clean("10 + 25 = 35"));
    CHECK(clean("3.14159265358979") && clean("pages 100-120") && clean("1,000,000") && clean("+5"));
    CHECK(clean("v1.2.3") && clean("ISBN 978-3-16-148410-0") && clean("1 2 3 4 5 6 7 8 9 10 11"));
    CHECK(masked("00 44 20 7946 0958 or 00-82-10-1234-5678", "<PHONE> or <PHONE>"));
    CHECK(masked("(212-555-0100) (tel. 020 7946 0958) (+49 30 123456)",
                 "(<PHONE>) (tel. <PHONE>) (<PHONE>)"));
    CHECK(masked("0044 20 7946 0958, 0082-10-1234-5678 or 001 212 555 0100",
                 "<PHONE>, <PHONE> or <PHONE>"));
    CHECK(clean("001 002 003 004") && clean("0012 0013 0014") && clean("000012 13 14150"));
    CHECK(masked("사무실 02)123-4567", "사무실 <PHONE>"));
    CHECK(clean("00 12 34") && clean("00 00 00 00 00 00") && clean("00 11 22 33 44 55 66 77") &&
          clean("UUID 123e4567-e89b-12d3-a456-426614174000"));
    CHECK(clean("555-0100") && clean("x212-555-0100") && clean("212-555-01000"));
}

static void cards(void)
{
    CHECK(masked("4111 1111 1111 1111 or 4111-1111-1111-1111 or 378282246310005",
                 "<CARD> or <CARD> or <CARD>"));
    CHECK(masked("5555555555554444, 6011111111111117, 3530111333300000", "<CARD>, <CARD>, <CARD>"));
    CHECK(clean("4111 1111 1111 1112") && clean("0000 0000 0000 0000") &&
          clean("4111-1111 1111 1111"));
    CHECK(clean("41111111111111111111111111111111111") && clean("a4111111111111111"));
}

static void addresses(void)
{
    CHECK(masked("ping 8.8.8.8. Then 93.184.216.34:80", "ping <IP>. Then <IP>:80"));
    CHECK(clean("127.0.0.1 10.1.2.3 192.168.0.1 172.16.9.9 0.0.0.0 255.255.255.255 203.0.113.9"));
    CHECK(clean("1.2.3.4-beta and v8.8.8.8"));
    CHECK(clean("1.2.3.4.5") && clean("256.1.1.1") && clean("8.8.8") && clean("08.8.8.8"));
    CHECK(masked("2606:4700:4700::1111 and 2a00:1450:4001:81b:0:0:0:200e.", "<IP> and <IP>."));
    CHECK(masked("ip:2606:4700::1111, node:2606:4700::1111", "ip:<IP>, node:<IP>"));
    CHECK(clean("7a63:3686::c42a:4b2 fd00:3686:2f04::27e0")); // the end of one is none
    CHECK(clean("::1 fe80::1 2001:db8::1 fd00::1") && clean("12:30:45") && clean("std::dec::add"));
}

static void accounts(void)
{
    CHECK(masked("IBAN GB82 WEST 1234 5698 7654 32.", "IBAN <IBAN>."));
    CHECK(masked("DE89370400440532013000, FR1420041010050500013M02606", "<IBAN>, <IBAN>"));
    CHECK(masked("GB82 WEST 1234 5698 7654 32 OK", "<IBAN> OK"));
    CHECK(clean("GB82 WEST 1234 5698 7654 33") && clean("AB12") &&
          clean("XGB82WEST12345698765432"));
}

/* Checksums find every wrong digit; Luhn as ISO/IEC 7812-1 has it, written the other way. */
static void checks(void)
{
    char d[17] = "4000000000000000";
    int wrong = 0, right = 0;

    for (int k = 0; k < 2000; k++) {
        int sum = 0, odd = 0;
        struct kinds t = {0};
        struct pii_hit h;
        size_t at = 0;

        unsigned x = (unsigned)k * 7919 + 13;

        for (int i = 1; i < 16; i++, x = x * 31 + 7)
            d[i] = (char)('0' + x / 7 % 10);
        for (int i = 15; i >= 0; i--, odd ^= 1)
            sum += odd ? (d[i] - '0') * 2 % 10 + (d[i] - '0') / 5 : d[i] - '0';
        kinds_text(&t, d, 16);
        bool hit = pii_next(&t, 1u << PII_CARD, &at, &h);

        wrong += hit != (sum % 10 == 0);
        right += hit;
        kinds_free(&t);
    }
    CHECK(!wrong && right > 150 && right < 250);
}

int main(void)
{
    unsigned k;
    struct err e;
    struct buf b = {0};

    TEST("e-mail");
    mail();
    TEST("phone");
    phones();
    TEST("card");
    cards();
    checks();
    TEST("ip");
    addresses();
    TEST("iban");
    accounts();
    TEST("kinds");
    CHECK(!pii_parse("email,iban", &k, &e) && k == (1u << PII_EMAIL | 1u << PII_IBAN));
    CHECK(pii_parse("email,name", &k, &e) && strstr(e.msg, "'name'"));
    CHECK(pii_parse("", &k, &e));
    CHECK(pii_mask("a@b.com 8.8.8.8", 15, 1u << PII_IP, &b) == 1 && !strcmp(b.p, "a@b.com <IP>"));
    TEST("long runs take linear time");
    buf_reset(&b);
    for (int i = 0; i < 300000; i++)
        buf_str(&b, i % 3 ? "1 " : "a.@:");
    struct buf out = {0};
    pii_mask(b.p, b.n, ~0u, &out);
    CHECK(out.n > 0);
    buf_free(&out);
    buf_free(&b);
    return test_end();
}
