/* lang_test.c - scripts and languages of sentences. */
#include "lang.h"
#include "script.h"
#include "test.h"

#include <stdio.h>
#include <string.h>

// clang-format off
static const struct {
    const char *lang, *text;
} sentence[] = {
    {"en", "The fox sat by the river and waited for the goat, but it did not come."},
    {"en", "Write a function that takes a list of numbers and returns the largest."},
    {"en", "What is the difference between weather and climate?"},
    {"en", "What do you want to do?"},
    {"en", "How do I get to the station?"},
    {"en", "I want to go to school."},
    {"de", "Der Fuchs saß am Fluss und wartete auf die Ziege, aber sie kam nicht."},
    {"de", "Schreibe eine kurze Geschichte über ein Kind, das im Wald einen Hund findet."},
    {"fr", "Le renard attendait la chèvre au bord de la rivière, mais elle n'est pas venue."},
    {"fr", "Expliquez la différence entre le climat et la météo dans un paragraphe."},
    {"es", "El zorro esperaba a la cabra junto al río, pero no vino porque era muy tarde."},
    {"es", "Escribe una carta para un amigo que vive en otra ciudad."},
    {"it", "La volpe aspettava la capra vicino al fiume, ma non è venuta perché era tardi."},
    {"it", "Scrivi una lettera per un amico che vive in un'altra città."},
    {"pt", "A raposa esperava a cabra junto ao rio, mas ela não veio porque já era tarde."},
    {"pt", "Escreva uma carta para um amigo que mora em outra cidade."},
    {"nl", "De vos zat bij de rivier en wachtte op de geit, maar die kwam niet."},
    {"sv", "Räven satt vid floden och väntade på geten, men den kom inte."},
    {"da", "Ræven sad ved floden og ventede på geden, men den kom ikke, for det var sent."},
    {"pl", "Lis siedział nad rzeką i czekał na kozę, ale ona nie przyszła, bo było już późno."},
    {"cs", "Liška seděla u řeky a čekala na kozu, ale ta nepřišla, protože už bylo pozdě a to je vše."},
    {"cs", "Nevím, co s těmi penězi udělají, ale je to jejich věc."},
    {"tr", "Tilki nehir kenarında keçiyi bekledi ama o gelmedi ve çok geç oldu."},
    {"fi", "Kettu istui joen rannalla ja odotti vuohta, mutta se ei tullut, kun oli myöhä."},
    {"fi", "Sää on tänään kaunis ja me menemme puistoon."},
    {"hu", "A róka a folyónál ült és a kecskét várta, de az nem jött el, mert már késő volt."},
    {"ro", "Vulpea stătea lângă râu și aștepta capra, dar ea nu a venit pentru că era târziu."},
    {"id", "Rubah itu duduk di tepi sungai dan menunggu kambing, tetapi dia tidak datang."},
    {"vi", "Con cáo ngồi bên bờ sông và đợi con dê, nhưng nó không đến vì đã quá muộn."},
    {"ru", "Лиса сидела у реки и ждала козу, но она не пришла, потому что было поздно."},
    {"uk", "Лисиця сиділа біля річки і чекала на козу, але вона не прийшла, бо вже було пізно."},
    {"bg", "Лисицата седеше до реката и чакаше козата, но тя не дойде, защото беше късно."},
    {"ko", "여우는 강가에 앉아 염소를 기다렸지만 오지 않았다."},
    {"ja", "狐は川のそばに座って山羊を待っていたが、来なかった。"},
    {"ja", "キツネが来た。"},
    {"zh", "狐狸坐在河边等山羊，但是它没有来。"},
    {"el", "Η αλεπού περίμενε την κατσίκα δίπλα στο ποτάμι."},
    {"he", "השועל ישב ליד הנהר וחיכה לעז."}, {"ar", "جلس الثعلب بجانب النهر وانتظر العنزة."},
    {"hi", "लोमड़ी नदी के किनारे बैठी बकरी का इंतज़ार कर रही थी।"}, {"th", "สุนัขจิ้งจอกนั่งอยู่ริมแม่น้ำ"},
    {"und", "123 + 456 = 579"}, {"und", ""}, {"und", "foo bar baz qux quux corge"},
    {"und", "import numpy as np; a = x @ y; print(y, y)"},
    {"und", "int main(void) { return x[i] << 2; }"}};
// clang-format on

int main(void)
{
    size_t n[SCRIPT_N] = {0};
    const char *s = "Fox 여우 лиса, é ß ª 12 狐ガ α";

    struct lang *x = lang_open();
    struct look l = {0};

    TEST("a sentence or two of 24 languages");
    for (size_t i = 0; i < sizeof(sentence) / sizeof(*sentence); i++) {
        const char *got;

        look_text(&l, sentence[i].text, strlen(sentence[i].text));
        got = lang_of(x, &l);

        if (strcmp(got, sentence[i].lang) != 0)
            printf("# %s, not %s: %s\n", got, sentence[i].lang, sentence[i].text);
        CHECK(!strcmp(got, sentence[i].lang));
        CHECK(lang_known(sentence[i].lang));
    }
    CHECK(!lang_known("xx") && !lang_known(""));
    TEST("scripts");
    CHECK(script_count(s, strlen(s), n) == 15);
    CHECK(n[SCRIPT_LATIN] == 6 && n[SCRIPT_HANGUL] == 2 && n[SCRIPT_CYRILLIC] == 4);
    CHECK(n[SCRIPT_HAN] == 1 && n[SCRIPT_KATAKANA] == 1 && n[SCRIPT_GREEK] == 1);
    CHECK(script_find("hangul", 6) == SCRIPT_HANGUL && script_find("HAN", 3) == SCRIPT_HAN);
    CHECK(script_find("Hang", 4) < 0 && script_find("", 0) < 0);
    n[SCRIPT_LATIN] = 0;
    CHECK(script_count("a\xFF\xE2\x82", 4, n) == 1 && n[SCRIPT_LATIN] == 1);
    lang_close(x);
    look_free(&l);
    return test_end();
}
