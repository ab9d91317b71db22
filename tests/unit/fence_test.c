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
    return test_end();
}
