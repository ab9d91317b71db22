/* lang.c - the language of a text, by script and function words. */
#include "lang.h"

#include "mem.h"
#include "vec.h"

#include <assert.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

enum { WORDS_MIN = 2, PLACES = 1 << 12, WINDOW = 4, WORDS = 1024, SOME = 256, LANES = 32 };

/* Frequent function words of languages that share a script; spaces around each. */
// clang-format off
static const struct {
    const char *name;
    enum script script;
    const char *words;
} languages[] = {
    {"en", SCRIPT_LATIN,
     " the of and to in is that it for was on are as with be this have from or by not but what all were when your can said there an they which their will you we he she do does did how if my our want need would could should about out up than then them some where why who has had "},
    {"de", SCRIPT_LATIN,
     " der die und das ist nicht ein ich zu sie den mit von auf dem eine sich für im auch als dass wird aus bei nach wie oder aber sind haben wir einen war "},
    {"fr", SCRIPT_LATIN,
     " le la les et des est que une dans qui pas pour sur au ce avec il plus sont par du ne vous je elle mais nous ou cette son être ont sa aux ces "},
    {"es", SCRIPT_LATIN,
     " el los las que del por con una para es como más pero sus su al lo esta ser son también cuando hay porque entre muy sin sobre este ya todo esa fue y "},
    {"it", SCRIPT_LATIN,
     " il che di per non una sono con del della gli nel alla più dei le anche come ma questo è ha si nella suo essere quando dal loro cosa ci lo ho delle "},
    {"pt", SCRIPT_LATIN,
     " o que não uma para com os do da em mais como mas dos das ao foi ele são pelo também seu sua isso nos você está ou quando muito já eu ser tem pela "},
    {"nl", SCRIPT_LATIN,
     " de het een van en dat niet zijn op te voor met aan er maar om ook als bij dan naar uit wordt nog heeft hebben worden deze ze die wat hij kan geen "},
    {"sv", SCRIPT_LATIN,
     " och att det som en på är av för med den till inte om ett han men var jag sig från vi så kan när hon eller har ska detta vid också år mycket hade "},
    {"da", SCRIPT_LATIN,
     " og det at en den til er som på de med han af for ikke der var mig sig men et har om vi min havde fra hun eller når efter også hvad blev skal være "},
    {"pl", SCRIPT_LATIN,
     " nie się na jest do to że jak ale co za od po przez czy dla są tak był oraz tego jego które który może lub przy już tylko bardzo by być jej ich w z i "},
    {"cs", SCRIPT_LATIN,
     " je se na že to jako ale by za pro jsem jsou byl nebo také jeho když podle tak po od který není až jen ještě která které může být při jsme však už co do v z i mi mám "},
    {"tr", SCRIPT_LATIN,
     " ve bir bu için ile çok da de gibi daha olarak kadar sonra ne var ama olan değil o mi en her şey ben ya içinde onun diye bunu ise veya göre hem "},
    {"fi", SCRIPT_LATIN,
     " ja on ei että se oli hän mutta ovat kun niin myös kuin tai joka jos minä mitä sen nyt ole vain sitä olla hänen tämä voi siitä mukaan kanssa "},
    {"hu", SCRIPT_LATIN,
     " a az és hogy nem is egy van volt meg csak de mint ez már ha vagy el még azt kell lehet nagyon minden akkor ezt ki itt sem mert volna lesz pedig "},
    {"ro", SCRIPT_LATIN,
     " și în de la cu nu care este pe din ce mai că un o sunt au fost pentru sau dar prin după să el ea acest această când foarte fi ale lor fără "},
    {"id", SCRIPT_LATIN,
     " yang dan di itu dengan untuk tidak ini dari dalam akan pada juga saya ke karena ada mereka oleh sudah bisa atau telah seperti kami kita adalah lebih "},
    {"vi", SCRIPT_LATIN,
     " và của là có không được cho một các người trong những với này đã để khi từ đến cũng như tôi nhưng về ra sẽ phải nếu rất nhiều đó hay ở vào "},
    {"ru", SCRIPT_CYRILLIC,
     " и в не на что с я он как это по но из за то все был его она так от для же мы вы бы или мне если уже когда только ещё были есть их нет до "},
    {"uk", SCRIPT_CYRILLIC,
     " і в не на що з я він як це по але із за та її для бути був вона від ми ви або якщо вже коли тільки ще були є їх немає до також який цей у й "},
    {"bg", SCRIPT_CYRILLIC,
     " и в не на се да е от за с той са че по като но как това до тя или още много бъде когато само беше аз ще ни има след към трябва при които съм "},
};

/* Languages that have a script to themselves, as far as this goes. */
static const struct {
    enum script script;
    const char *name;
} alone[] = {
    {SCRIPT_GREEK, "el"}, {SCRIPT_ARMENIAN, "hy"}, {SCRIPT_HEBREW, "he"}, {SCRIPT_ARABIC, "ar"},
    {SCRIPT_DEVANAGARI, "hi"}, {SCRIPT_BENGALI, "bn"}, {SCRIPT_GURMUKHI, "pa"}, {SCRIPT_GUJARATI, "gu"},
    {SCRIPT_TAMIL, "ta"}, {SCRIPT_TELUGU, "te"}, {SCRIPT_KANNADA, "kn"}, {SCRIPT_MALAYALAM, "ml"},
    {SCRIPT_SINHALA, "si"}, {SCRIPT_THAI, "th"}, {SCRIPT_LAO, "lo"}, {SCRIPT_TIBETAN, "bo"},
    {SCRIPT_MYANMAR, "my"}, {SCRIPT_GEORGIAN, "ka"}, {SCRIPT_ETHIOPIC, "am"}, {SCRIPT_KHMER, "km"},
    {SCRIPT_MONGOLIAN, "mn"}, {SCRIPT_HANGUL, "ko"}};
// clang-format on

enum { N_LANGUAGES = sizeof(languages) / sizeof(*languages) }; // <= LANES

/* Function words by their hash. A word lies in its place or in one of the next three, so that a
 * text is looked up without a branch a word. */
struct lang {
    uint32_t tag[PLACES + WINDOW]; // upper half of a word's hash; 0: free
    uint32_t number[PLACES + WINDOW];
    uint8_t of[WORDS][LANES]; // by number: is it a word of a language?
    uint32_t met[WORDS];      // in the text at hand, else 0
    uint32_t any[WORDS];      // (n_any) numbers that are in it
    uint32_t n, n_any;
    int shift; // of a hash, so chosen that every word finds a place
};

/* The place of a word that is a function word; else one that is free or holds another, and not
 * `found`. */
static inline size_t place_of(const struct lang *x, uint64_t hash, bool *found)
{
    size_t i = hash >> x->shift & (PLACES - 1);
    uint32_t tag = (uint32_t)(hash >> 32);
    unsigned same = 0; // no branch that could be guessed wrong
#if defined(__SSE2__)
    __m128i at = _mm_loadu_si128((const __m128i *)(const void *)(x->tag + i));

    at = _mm_cmpeq_epi32(at, _mm_set1_epi32((int)tag));
    same = (unsigned)_mm_movemask_ps(_mm_castsi128_ps(at));
#else
    for (size_t k = 0; k < WINDOW; k++)
        same |= (unsigned)(x->tag[i + k] == tag) << k;
#endif
    *found = same != 0;
    return i + (size_t)__builtin_ctz(same | 1u << WINDOW);
}

static bool add(struct lang *x, const char *p, size_t n, int language)
{
    uint64_t hash = words_hash(p, n);
    size_t i = hash >> x->shift & (PLACES - 1), end = i + WINDOW;
    bool found;

    place_of(x, hash, &found);
    if (!found) {
        while (i < end && x->tag[i])
            i++;
        if (i == end)
            return false;
        x->tag[i] = (uint32_t)(hash >> 32);
        x->number[i] = ++x->n;
    }
    x->of[x->number[place_of(x, hash, &found)]][language] = 1;
    return true;
}

static bool add_all(struct lang *x)
{
    for (int i = 0; i < N_LANGUAGES; i++)
        for (const char *p = languages[i].words + 1; *p; p += strcspn(p, " ") + 1)
            if (!add(x, p, strcspn(p, " "), i))
                return false;
    return true;
}

struct lang *lang_open(void)
{
    struct lang *x = mem_zero(1, sizeof(*x));

    while (!add_all(x)) {
        int shift = x->shift + 1;

        assert(shift < 20); // the words above are such that it ends sooner
        *x = (struct lang){.shift = shift};
    }
    return x;
}

void lang_close(struct lang *x)
{
    free(x);
}

/* The function words among n words, n <= SOME, are counted: a list of their places first, since
 * most words are none. */
static void count_some(struct lang *x, const uint64_t *hash, size_t n)
{
    uint32_t list[SOME + 1];
    size_t k = 0;

    for (size_t i = 0; i < n; i++) {
        bool found;

        list[k] = (uint32_t)place_of(x, hash[i], &found);
        k += found;
    }
    for (size_t i = 0; i < k; i++) {
        uint32_t number = x->number[list[i]];

        x->any[x->n_any] = number;
        x->n_any += !x->met[number]++;
    }
}

/* Words of each language in the text, and different ones; the counts are clear again. */
ANY_CPU static void sum_up(struct lang *x, uint32_t count[LANES], uint32_t kinds[LANES])
{
    uint32_t words[LANES] = {0}, different[LANES] = {0}; // in registers

    for (uint32_t i = 0; i < x->n_any; i++) {
        uint32_t k = x->any[i], met = x->met[k];

        for (int l = 0; l < LANES; l++) {
            words[l] += x->of[k][l] * met;
            different[l] += x->of[k][l];
        }
        x->met[k] = 0;
    }
    x->n_any = 0;
    memcpy(count, words, sizeof(words));
    memcpy(kinds, different, sizeof(different));
}

/* The language with most function words in the text; of equals the first in the table. */
static const char *by_words(struct lang *x, const struct words_row *w, enum script script)
{
    uint32_t count[LANES], kinds[LANES];
    uint64_t best = 0; // words, and behind them what is more for a language that is earlier

    for (size_t i = 0; i < w->n; i += SOME)
        count_some(x, w->hash + i, w->n - i < SOME ? w->n - i : SOME);
    sum_up(x, count, kinds);
    for (int i = 0; i < N_LANGUAGES; i++) {
        uint64_t may = languages[i].script == script && kinds[i] >= (uint32_t)WORDS_MIN;
        uint64_t key = -may & ((uint64_t)count[i] * LANES + (uint64_t)(LANES - 1 - i));

        best = key > best ? key : best;
    }
    if (!best || best / LANES * 12 < w->n)
        return "und";
    return languages[LANES - 1 - best % LANES].name;
}

const char *lang_of(struct lang *x, struct look *text)
{
    const size_t *count = look_scripts(text);
    size_t han = count[SCRIPT_HAN] + count[SCRIPT_HIRAGANA] + count[SCRIPT_KATAKANA];
    enum script most = SCRIPT_OTHER;

    for (int i = 0; i < SCRIPT_N; i++)
        if (count[i] > count[most])
            most = (enum script)i;
    if (han > count[most] || most == SCRIPT_HAN)
        return count[SCRIPT_HIRAGANA] * 20 >= han ? "ja" : count[SCRIPT_HAN] ? "zh" : "ja";
    if (!text->letters || most == SCRIPT_OTHER)
        return "und";
    for (size_t i = 0; i < sizeof(alone) / sizeof(*alone); i++)
        if (alone[i].script == most)
            return alone[i].name;
    return by_words(x, look_words(text), most);
}

int lang_known(const char *name)
{
    static const char *const more[] = {"ja", "zh", "und", NULL};

    for (int i = 0; i < N_LANGUAGES; i++)
        if (!strcmp(languages[i].name, name))
            return 1;
    for (size_t i = 0; i < sizeof(alone) / sizeof(*alone); i++)
        if (!strcmp(alone[i].name, name))
            return 1;
    for (int i = 0; more[i]; i++)
        if (!strcmp(more[i], name))
            return 1;
    return 0;
}
