/* fence_test.c - fenced code blocks. */
#include "fence.h"
#include "test.h"

#include <string.h>

/* The blocks of a text, joined by '|'. */
static bool blocks(const char *s, const char *lang, const char *want)
{
    char got[200] = "";
    struct fence f;
    size_t at = 0;

    while (fence_next(s, strlen(s), lang, &at, &f)) {
        strncat(got, f.p, f.n);
        strcat(got, "|");
    }
    return !strcmp(got, want);
}

/* The same of their content. */
static bool texts(const char *s, const char *lang, const char *want)
{
    struct buf got = {0};
    struct fence f;
    size_t at = 0;
    bool same;

    while (fence_next(s, strlen(s), lang, &at, &f)) {
        fence_text(&f, &got);
        buf_char(&got, '|');
    }
    same = got.n == strlen(want) && !memcmp(got.p, want, got.n);
    buf_free(&got);
    return same;
}

int main(void)
{
    TEST("blocks by language");
    CHECK(
        blocks("a\n```python\nx = 1\n```\nb\n~~~ Python {.x}\ny\n~~~\n", "python", "x = 1\n|y\n|"));
    CHECK(blocks("```py\nx\n```\n```python3\ny\n```\n", "python", ""));
    CHECK(blocks("```c\r\nx;\r\n```\r\n", "c", "x;\r\n|"));
    CHECK(blocks("```json\n{}\n", "json", "{}\n|") && blocks("```json", "json", "|"));
    TEST("fences inside, longer, indented, closed by another kind");
    CHECK(blocks("````c\n```\nx\n````\n", "c", "```\nx\n|"));
    CHECK(blocks("   ```c\nx\n  ```  \n", "c", "x\n|") && blocks("    ```c\nx\n```\n", "c", ""));
    CHECK(blocks("```c\nx\n~~~\n```\n", "c", "x\n~~~\n|") && blocks("``c\nx\n``\n", "c", ""));
    CHECK(blocks("```text\n```c\nx\n```\n", "c", "") && blocks("``` a`c\nx\n", "a`c", ""));
    CHECK(blocks("", "c", "") && blocks("```", "c", ""));
    TEST("the opening fence's indentation is not the content's");
    CHECK(texts("- a\n\n  ```c\n  if x:\n      y\n\n  z\n  ```\n", "c", "if x:\n    y\n\nz\n|"));
    CHECK(texts("   ```c\nx\n y\n    z\n```\n", "c", "x\ny\n z\n|"));
    CHECK(texts("```c\n  x\n```\n", "c", "  x\n|") && texts(" ```c\n  x", "c", " x|"));
    CHECK(texts("  ```c\n\tx\n \t\ty\n", "c", "  x\n  \ty\n|"));
    CHECK(texts("  ```c\n \n  ```\n", "c", "\n|") && texts("  ```c\n  ```\n", "c", "|"));
    return test_end();
}
