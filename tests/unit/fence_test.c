/* fence_test.c - fenced code blocks. */
#include "fence.h"
#include "test.h"

#include <string.h>

/* The blocks of a text, joined by '|'. */
static bool blocks(const char *s, const char *lang, const char *want)
{
    char got[200] = "";
    struct fence f = {0};

    while (fence_next(s, strlen(s), lang, &f)) {
        strncat(got, f.p, f.n);
        strcat(got, "|");
    }
    return !strcmp(got, want);
}

/* The same of their content. */
static bool texts(const char *s, const char *lang, const char *want)
{
    struct buf got = {0};
    struct fence f = {0};
    bool same;

    while (fence_next(s, strlen(s), lang, &f)) {
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
    TEST("fences in list items: indented from their content on");
    CHECK(texts("10. a\n\n    ```c\n    x\n     y\n    ```\nb\n", "c", "x\n y\n|"));
    CHECK(texts("- a\n  - b\n\n    ```c\n    x\n    ```\n    ~~~c\n    y\n    ~~~\n", "c",
                "x\n|y\n|"));
    CHECK(texts("- ```c\n  x\n  ```\n- 1) ```c\n     y\n", "c", "x\n|y\n|"));
    CHECK(texts("- a\n\n\t```c\n\tx\n\t\ty\n\t```\n", "c", "x\n\ty\n|"));
    CHECK(texts("1. a\n   - b\n     - c\n\n       ```c\n       x\n       ```\n", "c", "x\n|"));
    CHECK(texts("- a\n  ```c\n  x\n```\n```c\ny\n```\n", "c", "x\n|y\n|"));
    CHECK(texts("- a\n\n      ```c\n      x\n      ```\n", "c", "")); // code in the item
    CHECK(texts("- a\n\nb\n\n    ```c\n    x\n    ```\n", "c", ""));  // the item has ended
    CHECK(texts("-a\n    ```c\n    x\n    ```\n", "c", "") && texts("-      ```c\n  x\n", "c", ""));
    CHECK(texts("- a\n  ```text\n  - b\n    ```c\n    x\n  ```\n", "c", ""));
    return test_end();
}
