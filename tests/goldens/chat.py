#!/usr/bin/env python3
"""Chat templates as models carry them, and what transformers renders with them.

usage: tests/goldens/chat.py         (needs the Python packages transformers and tokenizers)

Writes tests/data/chat.jsonl: a line for each template and conversation with the template's text, the kind that it must be
recognized as, the messages, and the text that transformers makes of them (without a BOS at the beginning).
The templates are written down from the models' public documentation.
"""
import json
import os
import sys

from tokenizers import Tokenizer, models
from transformers import PreTrainedTokenizerFast

OUT = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "data", "chat.jsonl")

CHATML = "{% for message in messages %}{{'<|im_start|>' + message['role'] + '\\n' + message['content'] + '<|im_end|>' + '\\n'}}{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant\\n' }}{% endif %}"
CHATML_TRIM = CHATML.replace("message['content']", "message['content'] | trim")
CHATML_STRIP = CHATML.replace("message['content']", "message.content.strip()")
QWEN2 = "{% for message in messages %}{% if loop.first and messages[0]['role'] != 'system' %}{{ '<|im_start|>system\\nYou are a helpful assistant.<|im_end|>\\n' }}{% endif %}{{'<|im_start|>' + message['role'] + '\\n' + message['content'] + '<|im_end|>' + '\\n'}}{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant\\n' }}{% endif %}"
SMOLLM2 = QWEN2.replace("\\n", "\n").replace("You are a helpful assistant.", "You are SmolLM.")  # line ends as such, not named
QWEN25 = """{%- if messages[0]['role'] == 'system' %}
    {{- '<|im_start|>system\\n' + messages[0]['content'] + '<|im_end|>\\n' }}
{%- else %}
    {{- '<|im_start|>system\\nYou are Qwen, created by Alibaba Cloud. You are a helpful assistant.<|im_end|>\\n' }}
{%- endif %}
{%- for message in messages %}
    {%- if (message.role == "user") or (message.role == "system" and not loop.first) or (message.role == "assistant") %}
        {{- '<|im_start|>' + message.role + '\\n' + message.content + '<|im_end|>' + '\\n' }}
    {%- endif %}
{%- endfor %}
{%- if add_generation_prompt %}
    {{- '<|im_start|>assistant\\n' }}
{%- endif %}
"""
QWEN3 = """{%- if messages[0].role == 'system' %}
    {{- '<|im_start|>system\\n' + messages[0].content + '<|im_end|>\\n' }}
{%- endif %}
{%- set ns = namespace(multi_step_tool=true, last_query_index=messages|length - 1) %}
{%- for message in messages[::-1] %}
    {%- set index = (messages|length - 1) - loop.index0 %}
    {%- if ns.multi_step_tool and message.role == "user" and message.content is string and not(message.content.startswith('<tool_response>') and message.content.endswith('</tool_response>')) %}
        {%- set ns.multi_step_tool = false %}
        {%- set ns.last_query_index = index %}
    {%- endif %}
{%- endfor %}
{%- for message in messages %}
    {%- if message.content is string %}
        {%- set content = message.content %}
    {%- else %}
        {%- set content = '' %}
    {%- endif %}
    {%- if (message.role == "user") or (message.role == "system" and not loop.first) %}
        {{- '<|im_start|>' + message.role + '\\n' + content + '<|im_end|>' + '\\n' }}
    {%- elif message.role == "assistant" %}
        {%- set reasoning_content = '' %}
        {%- if message.reasoning_content is string %}
            {%- set reasoning_content = message.reasoning_content %}
        {%- else %}
            {%- if '</think>' in content %}
                {%- set reasoning_content = content.split('</think>')[0].rstrip('\\n').split('<think>')[-1].lstrip('\\n') %}
                {%- set content = content.split('</think>')[-1].lstrip('\\n') %}
            {%- endif %}
        {%- endif %}
        {%- if loop.index0 > ns.last_query_index %}
            {%- if loop.last or (not loop.last and reasoning_content) %}
                {{- '<|im_start|>' + message.role + '\\n<think>\\n' + reasoning_content.strip('\\n') + '\\n</think>\\n\\n' + content.lstrip('\\n') }}
            {%- else %}
                {{- '<|im_start|>' + message.role + '\\n' + content }}
            {%- endif %}
        {%- else %}
            {{- '<|im_start|>' + message.role + '\\n' + content }}
        {%- endif %}
        {{- '<|im_end|>\\n' }}
    {%- endif %}
{%- endfor %}
{%- if add_generation_prompt %}
    {{- '<|im_start|>assistant\\n' }}
    {%- if enable_thinking is defined and enable_thinking is false %}
        {{- '<think>\\n\\n</think>\\n\\n' }}
    {%- endif %}
{%- endif %}"""
QWEN3_INSTRUCT = QWEN3.replace("loop.last or (not loop.last and reasoning_content)", "reasoning_content")
QWEN3_THINKING = QWEN3[:QWEN3.index("{%- if add_generation_prompt")] + """{%- if add_generation_prompt %}
    {{- '<|im_start|>assistant\\n<think>\\n' }}
{%- endif %}"""
YI = "{% if messages[0]['role'] == 'system' %}{% set system_message = messages[0]['content'] %}{% endif %}{% if system_message is defined %}{{ system_message }}{% endif %}{% for message in messages %}{% set content = message['content'] %}{% if message['role'] == 'user' %}{{ '<|im_start|>user\\n' + content + '<|im_end|>\\n<|im_start|>assistant\\n' }}{% elif message['role'] == 'assistant' %}{{ content + '<|im_end|>' + '\\n' }}{% endif %}{% endfor %}"
YI_TURNS = "{% if messages[0]['role'] == 'system' %}{% set system_message = messages[0]['content'] %}{% endif %}{% if system_message is defined %}{{ '<|im_start|>system\\n' + system_message + '<|im_end|>\\n' }}{% endif %}" + YI[YI.index("{% for"):]
YI_DEFAULT = "{% set system_message = 'You\\'re \\\"helpful\\\".' %}" + YI_TURNS
NEMOTRON = "{{ '<extra_id_0>System' }}{% for message in messages %}{% if message['role'] == 'system' %}{{ '\\n' + message['content'].strip() }}{% endif %}{% endfor %}{{ '\\n\\n' }}{% for message in messages %}{% if message['role'] == 'user' %}{{ '<extra_id_1>User\\n' + message['content'].strip() + '\\n' }}{% elif message['role'] == 'assistant' %}{{ '<extra_id_1>Assistant\\n' + message['content'].strip() + '\\n' }}{% endif %}{% endfor %}{% if add_generation_prompt %}{{ '<extra_id_1>Assistant\\n' }}{% endif %}"
LLAMA2 = "{% if messages[0]['role'] == 'system' %}{% set loop_messages = messages[1:] %}{% set system_message = messages[0]['content'] %}{% else %}{% set loop_messages = messages %}{% set system_message = false %}{% endif %}{% for message in loop_messages %}{% if (message['role'] == 'user') != (loop.index0 % 2 == 0) %}{{ raise_exception('Conversation roles must alternate user/assistant/user/assistant/...') }}{% endif %}{% if loop.index0 == 0 and system_message != false %}{% set content = '<<SYS>>\\n' + system_message + '\\n<</SYS>>\\n\\n' + message['content'] %}{% else %}{% set content = message['content'] %}{% endif %}{% if message['role'] == 'user' %}{{ bos_token + '[INST] ' + content.strip() + ' [/INST]' }}{% elif message['role'] == 'assistant' %}{{ ' '  + content.strip() + ' ' + eos_token }}{% endif %}{% endfor %}"
LLAMA3 = "{% set loop_messages = messages %}{% for message in loop_messages %}{% set content = '<|start_header_id|>' + message['role'] + '<|end_header_id|>\\n\\n'+ message['content'] | trim + '<|eot_id|>' %}{% if loop.index0 == 0 %}{% set content = bos_token + content %}{% endif %}{{ content }}{% endfor %}{% if add_generation_prompt %}{{ '<|start_header_id|>assistant<|end_header_id|>\\n\\n' }}{% endif %}"
LLAMA31 = """{{- bos_token }}
{%- if not date_string is defined %}
    {%- set date_string = "26 Jul 2024" %}
{%- endif %}
{%- if messages[0]['role'] == 'system' %}
    {%- set system_message = messages[0]['content']|trim %}
    {%- set messages = messages[1:] %}
{%- else %}
    {%- set system_message = "" %}
{%- endif %}
{{- "<|start_header_id|>system<|end_header_id|>\\n\\n" }}
{{- "Cutting Knowledge Date: December 2023\\n" }}
{{- "Today Date: " + date_string + "\\n\\n" }}
{{- system_message }}
{{- "<|eot_id|>" }}
{%- for message in messages %}
    {{- '<|start_header_id|>' + message['role'] + '<|end_header_id|>\\n\\n'+ message['content'] | trim + '<|eot_id|>' }}
{%- endfor %}
{%- if add_generation_prompt %}
    {{- '<|start_header_id|>assistant<|end_header_id|>\\n\\n' }}
{%- endif %}
"""
MISTRAL = "{{ bos_token }}{% for message in messages %}{% if (message['role'] == 'user') != (loop.index0 % 2 == 0) %}{{ raise_exception('Conversation roles must alternate user/assistant/user/assistant/...') }}{% endif %}{% if message['role'] == 'user' %}{{ '[INST] ' + message['content'] + ' [/INST]' }}{% elif message['role'] == 'assistant' %}{{ message['content'] + eos_token}}{% else %}{{ raise_exception('Only user and assistant roles are supported!') }}{% endif %}{% endfor %}"
MISTRAL_V01 = MISTRAL.replace("eos_token", "eos_token + ' '")
MISTRAL_V1 = """{%- if messages[0]['role'] == 'system' %}
    {%- set system_message = messages[0]['content'] %}
    {%- set loop_messages = messages[1:] %}
{%- else %}
    {%- set loop_messages = messages %}
{%- endif %}

{{- bos_token }}
{%- for message in loop_messages %}
    {%- if message['role'] == 'user' %}
        {%- if loop.first and system_message is defined %}
            {{- ' [INST] ' + system_message + '\\n\\n' + message['content'] + ' [/INST]' }}
        {%- else %}
            {{- ' [INST] ' + message['content'] + ' [/INST]' }}
        {%- endif %}
    {%- elif message['role'] == 'assistant' %}
        {{- ' ' + message['content'] + eos_token}}
    {%- endif %}
{%- endfor %}
"""
MISTRAL_V3 = """{%- if messages[0]["role"] == "system" %}
    {%- set system_message = messages[0]["content"] %}
    {%- set loop_messages = messages[1:] %}
{%- else %}
    {%- set loop_messages = messages %}
{%- endif %}
{%- set user_messages = loop_messages | selectattr("role", "equalto", "user") | list %}

{{- bos_token }}
{%- for message in loop_messages %}
    {%- if message["role"] == "user" %}
        {%- if tools is not none and (message == user_messages[-1]) %}
            {{- "[AVAILABLE_TOOLS] [" }}
        {%- endif %}
        {%- if loop.last and system_message is defined %}
            {{- "[INST] " + system_message + "\\n\\n" + message["content"] + "[/INST]" }}
        {%- else %}
            {{- "[INST] " + message["content"] + "[/INST]" }}
        {%- endif %}
    {%- elif message["role"] == "assistant" %}
        {{- " " + message["content"]|trim + eos_token}}
    {%- endif %}
{%- endfor %}
"""
MISTRAL_TEKKEN = MISTRAL_V3.replace('"[INST] "', '"[INST]"').replace('{{- " " + message["content"]|trim + eos_token}}', '{{- message["content"] + eos_token}}').replace('"[AVAILABLE_TOOLS] ["', '"[AVAILABLE_TOOLS]["')
MISTRAL_V7 = "{{ bos_token }}{% for message in messages %}{% if message['role'] == 'user' %}{{ '[INST] ' + message['content'] + '[/INST]' }}{% elif message['role'] == 'system' %}{{ '[SYSTEM_PROMPT] ' + message['content'] + '[/SYSTEM_PROMPT]' }}{% elif message['role'] == 'assistant' %}{{ ' ' + message['content'] + eos_token }}{% else %}{{ raise_exception('Only user, system and assistant roles are supported!') }}{% endif %}{% endfor %}"
MISTRAL_V7_TEKKEN = MISTRAL_V7.replace("'[INST] '", "'[INST]'").replace("'[SYSTEM_PROMPT] '", "'[SYSTEM_PROMPT]'").replace("' ' + message", "message")
ZEPHYR = "{% for message in messages %}\n{% if message['role'] == 'user' %}\n{{ '<|user|>\n' + message['content'] + eos_token }}\n{% elif message['role'] == 'system' %}\n{{ '<|system|>\n' + message['content'] + eos_token }}\n{% elif message['role'] == 'assistant' %}\n{{ '<|assistant|>\n'  + message['content'] + eos_token }}\n{% endif %}\n{% if loop.last and add_generation_prompt %}\n{{ '<|assistant|>' }}\n{% endif %}\n{% endfor %}"
GEMMA = "{{ bos_token }}{% if messages[0]['role'] == 'system' %}{{ raise_exception('System role not supported') }}{% endif %}{% for message in messages %}{% if (message['role'] == 'user') != (loop.index0 % 2 == 0) %}{{ raise_exception('Conversation roles must alternate user/assistant/user/assistant/...') }}{% endif %}{% if (message['role'] == 'assistant') %}{% set role = 'model' %}{% else %}{% set role = message['role'] %}{% endif %}{{ '<start_of_turn>' + role + '\\n' + message['content'] | trim + '<end_of_turn>\\n' }}{% endfor %}{% if add_generation_prompt %}{{'<start_of_turn>model\\n'}}{% endif %}"
GEMMA3 = """{{ bos_token }}
{%- if messages[0]['role'] == 'system' -%}
    {%- set first_user_prefix = messages[0]['content'] + '

' -%}
    {%- set loop_messages = messages[1:] -%}
{%- else -%}
    {%- set first_user_prefix = "" -%}
    {%- set loop_messages = messages -%}
{%- endif -%}
{%- for message in loop_messages -%}
    {%- if (message['role'] == 'assistant') -%}
        {%- set role = "model" -%}
    {%- else -%}
        {%- set role = message['role'] -%}
    {%- endif -%}
    {{ '<start_of_turn>' + role + '
' + (first_user_prefix if loop.first else "") }}
    {{- message['content'] | trim -}}
    {{ '<end_of_turn>
' }}
{%- endfor -%}
{%- if add_generation_prompt -%}
    {{'<start_of_turn>model
'}}
{%- endif -%}
"""
MISTRAL_V7_DEFAULT = "{%- set default_system_message = 'Be brief.\\nBe kind.' %}{{ bos_token }}{% if messages[0]['role'] == 'system' %}{% set system_message = messages[0]['content'] %}{% set loop_messages = messages[1:] %}{% else %}{% set system_message = default_system_message %}{% set loop_messages = messages %}{% endif %}{{ '[SYSTEM_PROMPT]' + system_message + '[/SYSTEM_PROMPT]' }}" + MISTRAL_V7_TEKKEN[len("{{ bos_token }}"):].replace("in messages", "in loop_messages")
PHI3 = "{% for message in messages %}{% if message['role'] == 'system' %}{{'<|system|>\\n' + message['content'] + '<|end|>\\n'}}{% elif message['role'] == 'user' %}{{'<|user|>\\n' + message['content'] + '<|end|>\\n'}}{% elif message['role'] == 'assistant' %}{{'<|assistant|>\\n' + message['content'] + '<|end|>\\n'}}{% endif %}{% endfor %}{% if add_generation_prompt %}{{ '<|assistant|>\\n' }}{% else %}{{ eos_token }}{% endif %}"
PHI3_OPEN = PHI3.replace("{% else %}{{ eos_token }}", "")
PHI35 = PHI3.replace("== 'system' %}", "== 'system' and message['content'] %}")
ALPACA = "{% for message in messages %}{% if message['role'] == 'system' %}{{ message['content'] + '\\n\\n' }}{% elif message['role'] == 'user' %}{{ '### Instruction:\\n' + message['content'] + '\\n\\n' }}{% elif message['role'] == 'assistant' %}{{ '### Response:\\n' + message['content'] + eos_token + '\\n\\n' }}{% endif %}{% endfor %}{% if add_generation_prompt %}{{ '### Response:\\n' }}{% endif %}"
VICUNA = "{% if messages[0]['role'] == 'system' %}{% set loop_messages = messages[1:] %}{% set system_message = messages[0]['content'] %}{% else %}{% set loop_messages = messages %}{% set system_message = \"A chat between a curious user and an artificial intelligence assistant. The assistant gives helpful, detailed, and polite answers to the user's questions.\" %}{% endif %}{{ bos_token + system_message + ' ' }}{% for message in loop_messages %}{% if message['role'] == 'user' %}{{ 'USER: ' + message['content'] + ' ' }}{% else %}{{ 'ASSISTANT: ' + message['content'] + eos_token }}{% endif %}{% endfor %}{% if add_generation_prompt %}{{ 'ASSISTANT:' }}{% endif %}"
VICUNA_LINES = "{%- for message in messages %}{%- if message['role'] == 'system' -%}{{- '' + message['content'] + '\\n\\n' -}}{%- else -%}{%- if message['role'] == 'user' -%}{{-'USER: ' + message['content'] + '\\n'-}}{%- else -%}{{-'ASSISTANT: ' + message['content'] + '</s>\\n' -}}{%- endif -%}{%- endif -%}{%- endfor -%}{%- if add_generation_prompt -%}{{-'ASSISTANT:'-}}{%- endif -%}"
VICUNA_ORCA = VICUNA_LINES.replace("'' + message['content'] + '\\n\\n'", "'SYSTEM: ' + message['content'] + '\\n'")
DEEPSEEK = "{% if not add_generation_prompt is defined %}{% set add_generation_prompt = false %}{% endif %}{% set ns = namespace(system_prompt='') %}{%- for message in messages %}{%- if message['role'] == 'system' %}{% set ns.system_prompt = message['content'] %}{%- endif %}{%- endfor %}{{bos_token}}{{ns.system_prompt}}{%- for message in messages %}{%- if message['role'] == 'user' %}{{'<｜User｜>' + message['content']}}{%- endif %}{%- if message['role'] == 'assistant' %}{% set content = message['content'] %}{% if '</think>' in content %}{% set content = content.split('</think>')[-1] %}{% endif %}{{'<｜Assistant｜>' + content + '<｜end▁of▁sentence｜>'}}{%- endif %}{%- endfor -%}{% if add_generation_prompt %}{{'<｜Assistant｜>'}}{% endif %}"
DEEPSEEK_R1 = DEEPSEEK.replace("{% if add_generation_prompt %}{{'<｜Assistant｜>'}}", "{% if add_generation_prompt %}{{'<｜Assistant｜><think>\\n'}}")
DEEPSEEK_V3 = DEEPSEEK.replace("{% if '</think>' in content %}{% set content = content.split('</think>')[-1] %}{% endif %}", "")
TULU3 = "{% for message in messages %}{% if message['role'] == 'system' %}{{ '<|system|>\\n' + message['content'] + '\\n' }}{% elif message['role'] == 'user' %}{{ '<|user|>\\n' + message['content'] + '\\n' }}{% elif message['role'] == 'assistant' %}{% if not loop.last %}{{ '<|assistant|>\\n'  + message['content'] + eos_token + '\\n' }}{% else %}{{ '<|assistant|>\\n'  + message['content'] + eos_token }}{% endif %}{% endif %}{% if loop.last and add_generation_prompt %}{{ '<|assistant|>\\n' }}{% endif %}{% endfor %}"
LLAMA2_OFF = LLAMA2.replace("{% else %}{% set loop_messages = messages %}", "{% elif false == true and not '<<SYS>>' in messages[0]['content'] %}{% set loop_messages = messages %}{% set system_message = 'You are helpful.' %}{% else %}{% set loop_messages = messages %}", 1)

# name, kind, template, bos, eos; whether it knows a system role
TEMPLATES = [
    ("chatml", "chatml", CHATML, "<|endoftext|>", "<|im_end|>", True),
    ("qwen2", "chatml", QWEN2, "<|endoftext|>", "<|im_end|>", True),
    ("smollm2", "chatml", SMOLLM2, "<|endoftext|>", "<|im_end|>", True),
    ("qwen2.5", "chatml", QWEN25, "<|endoftext|>", "<|im_end|>", True),
    ("qwen3", "qwen3", QWEN3, "<|endoftext|>", "<|im_end|>", True),
    ("qwen3-thinking", "qwen3-thinking", QWEN3_THINKING, "<|endoftext|>", "<|im_end|>", True),
    ("qwen3-instruct", "qwen3-instruct", QWEN3_INSTRUCT, "<|endoftext|>", "<|im_end|>", True),
    ("chatml-trim", "chatml-trim", CHATML_TRIM, "<|endoftext|>", "<|im_end|>", True),
    ("chatml-strip", "chatml-trim", CHATML_STRIP, "<|endoftext|>", "<|im_end|>", True),
    ("yi", "yi", YI, "<|startoftext|>", "<|im_end|>", True),
    ("yi-turns", "yi-turns", YI_TURNS, "<|startoftext|>", "<|im_end|>", True),
    ("yi-default", "yi-turns", YI_DEFAULT, "<|startoftext|>", "<|im_end|>", True),
    ("nemotron", "nemotron", NEMOTRON, "<s>", "</s>", True),
    ("llama2", "llama2", LLAMA2, "<s>", "</s>", True),
    ("llama2-off", "llama2", LLAMA2_OFF, "<s>", "</s>", True),
    ("llama3", "llama3", LLAMA3, "<|begin_of_text|>", "<|eot_id|>", True),
    ("llama3.1", "llama3.1", LLAMA31, "<|begin_of_text|>", "<|eot_id|>", True),
    ("mistral", "mistral", MISTRAL, "<s>", "</s>", False),
    ("mistral-v0.1", "mistral-v0.1", MISTRAL_V01, "<s>", "</s>", False),
    ("mistral-v1", "mistral-v1", MISTRAL_V1, "<s>", "</s>", True),
    ("mistral-v3", "mistral-v3", MISTRAL_V3, "<s>", "</s>", True),
    ("mistral-tekken", "mistral-tekken", MISTRAL_TEKKEN, "<s>", "</s>", True),
    ("mistral-v7", "mistral-v7", MISTRAL_V7, "<s>", "</s>", True),
    ("mistral-v7-tekken", "mistral-v7-tekken", MISTRAL_V7_TEKKEN, "<s>", "</s>", True),
    ("mistral-v7-default", "mistral-v7-tekken", MISTRAL_V7_DEFAULT, "<s>", "</s>", True),
    ("zephyr", "zephyr", ZEPHYR, "<s>", "</s>", True),
    ("stablelm-zephyr", "zephyr", ZEPHYR, "<|endoftext|>", "<|endoftext|>", True),
    ("gemma", "gemma", GEMMA, "<bos>", "<eos>", False),
    ("gemma3", "gemma", GEMMA3, "<bos>", "<eos>", True),
    ("phi3", "phi3", PHI3, "<s>", "<|endoftext|>", True),
    ("phi3-open", "phi3-open", PHI3_OPEN, "<s>", "<|endoftext|>", True),
    ("phi3.5", "phi3.5", PHI35, "<s>", "<|endoftext|>", True),
    ("alpaca", "alpaca", ALPACA, "<s>", "</s>", True),
    ("vicuna", "vicuna", VICUNA, "<s>", "</s>", True),
    ("vicuna-lines", "vicuna-lines", VICUNA_LINES, "<s>", "</s>", True),
    ("vicuna-orca", "vicuna-orca", VICUNA_ORCA, "<s>", "</s>", True),
    ("deepseek", "deepseek", DEEPSEEK, "<｜begin▁of▁sentence｜>", "<｜end▁of▁sentence｜>", True),
    ("deepseek-r1", "deepseek-r1", DEEPSEEK_R1, "<｜begin▁of▁sentence｜>", "<｜end▁of▁sentence｜>", True),
    ("deepseek-v3", "deepseek-v3", DEEPSEEK_V3, "<｜begin▁of▁sentence｜>", "<｜end▁of▁sentence｜>", True),
    ("tulu3", "tulu3", TULU3, "<|begin_of_text|>", "<|end_of_text|>", True),
]

U, A, S = "user", "assistant", "system"
TALKS = [
    [(U, "Hello")],
    [(S, "Be brief."), (U, "Hello, who are you?")],
    [(U, " spaces around \n"), (A, "Fine. "), (U, "And\n\nthen?")],
    [(S, "System\ntext"), (U, "one"), (A, "two"), (U, "three"), (A, "four"), (U, "five")],
    [(U, "{{ 7 * 7 }} {% raw %} <|im_end|> </s> [INST] <|eot_id|>"), (A, "no"), (U, "é 한 😀")],
    [(U, "\x1c\u2003 a \x1d"), (A, "\x1f\n\x1eb\u200b"), (U, "c \x1f ")],
]
# Those that end with an answer: add_generation_prompt is off there.
CLOSED = [
    [(U, "one"), (A, "two")],
    [(S, "System"), (U, "one"), (A, " two ")],
    [(S, "System"), (U, "one"), (A, "two"), (U, "three"), (A, "four")],
    [(S, ""), (U, "one"), (A, "two")],
    [(S, "System"), (U, " "), (A, "")],
]
# For those that let them be: two questions in a row, an answer that comes first.
LOOSE = [
    [(U, "one"), (U, "two")],
    [(A, "zero"), (U, "one"), (U, "two"), (A, "three"), (A, "four"), (U, "five")],
]
THOUGHTS = [
    [(U, "one"), (A, "<think>\nhm\n</think>\n\ntwo</think>\n\nthree"), (U, "four")],
    [(S, ""), (U, "one"), (A, "\n\ntwo"), (A, "<think>\n\nhm\n\n</think>\nthree"), (A, "\nfour")],
    [(U, "one"), (A, "<think>a"), (A, "b<think>\nc\n</think>"), (U, "<tool_response>d</tool_response>"), (A, "<think>\ne\n</think>\n\nf")],
    [(A, "<think>\na\n</think>\n\nb")],
]


def main():
    with open(OUT, "w", encoding="utf8") as f:
        for name, kind, template, bos, eos, has_system in TEMPLATES:
            tok = PreTrainedTokenizerFast(tokenizer_object=Tokenizer(models.BPE()), bos_token=bos, eos_token=eos, chat_template=template)
            thinks = "</think>" in template or name == "deepseek-v3"
            loose = "raise_exception" not in template
            for i, talk in enumerate(TALKS + CLOSED + (LOOSE if loose else []) + (THOUGHTS if thinks else [])):
                messages = [{"role": r, "content": c} for r, c in talk]
                if messages[0]["role"] == "system" and not has_system:
                    continue
                closed = messages[-1]["role"] == "assistant"
                text = tok.apply_chat_template(messages, tokenize=False, add_generation_prompt=not closed)
                if text.startswith(bos):
                    text = text[len(bos):]
                line = {"name": name, "kind": kind, "bos": bos, "eos": eos, "messages": messages, "text": text}
                if closed:
                    line["closed"] = True
                if i == 0:
                    line["template"] = template
                f.write(json.dumps(line, ensure_ascii=False, separators=(",", ":")) + "\n")


if __name__ == "__main__":
    sys.exit(main())
