// SPDX-License-Identifier: GPL-2.0-or-later
#include <string.h>

#include "internal.h"

static bool parse_number(const char *text, size_t len, uint64_t *value)
{
	*value = 0;
	for (size_t i = 0; i < len; i++) {
		if (text[i] < '0' || text[i] > '9' || *value > (UINT64_MAX - 9) / 10)
			return false;
		*value = *value * 10 + text[i] - '0';
	}
	return len > 0;
}

static bool parse_word(const char *const *words, const char *text, size_t len, uint64_t *value)
{
	for (*value = 0; words[*value]; ++*value)
		if (strlen(words[*value]) == len && !strncmp(words[*value], text, len))
			return true;
	return false;
}

/* For messages; cuts a list that is too long. */
struct list {
	char text[100];
	size_t len;
};

static void add_to_list(struct list *list, const char *word)
{
	if (list->len)
		list->text[list->len++] = ',';
	while (*word && list->len < sizeof(list->text) - 2)
		list->text[list->len++] = *word++;
	list->text[list->len] = 0;
}

static NORETURN void fail_choice(const struct param *param)
{
	struct list list = { .len = 0 };

	for (size_t i = 0; param->words[i]; i++)
		add_to_list(&list, param->words[i]);
	fail("parameter %s must be one of %s", param->name, list.text);
}

static NORETURN void fail_unknown(const struct param *params, size_t count)
{
	struct list list = { .len = 0 };

	for (size_t i = 0; i < count; i++)
		add_to_list(&list, params[i].name);
	fail("unknown parameter in \"%s\"; write NAME=VALUE with a name of %s", platform_bootargs(),
	     list.text);
}

static void set_param(struct param *param, const char *text, size_t len)
{
	uint64_t value;
	bool ok;

	if (param->words)
		ok = parse_word(param->words, text, len, &value);
	else
		ok = parse_number(text, len, &value) && value >= param->min && value <= param->max;
	if (ok) {
		param->value = value;
		return;
	}
	if (param->words)
		fail_choice(param);
	fail("parameter %s must be a number from %lu to %lu", param->name, param->min, param->max);
}

void read_params(struct param *params, size_t count)
{
	const char *args = platform_bootargs();

	while (*args) {
		size_t len = strchr(args, ' ') ? (size_t)(strchr(args, ' ') - args) : strlen(args);
		const char *equals = memchr(args, '=', len);
		size_t name_len = equals ? (size_t)(equals - args) : len;
		size_t i;

		if (len == 0) {
			args++;
			continue;
		}
		for (i = 0; i < count; i++)
			if (strlen(params[i].name) == name_len &&
			    !strncmp(params[i].name, args, name_len))
				break;
		if (i == count || !equals)
			fail_unknown(params, count);
		set_param(&params[i], equals + 1, len - name_len - 1);
		args += len;
	}
}
