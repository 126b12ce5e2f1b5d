// SPDX-License-Identifier: GPL-2.0-or-later
/* Reads what the guests need from the device tree. */
#include <libfdt.h>
#include <string.h>

#include "internal.h"

static const void *fdt;

static const char *string_property(const char *path, const char *name)
{
	int len;
	const char *value = fdt_getprop(fdt, fdt_path_offset(fdt, path), name, &len);

	return value && len > 0 && !value[len - 1] ? value : NULL;
}

static uint64_t read_cells(const fdt32_t *cells, int count)
{
	uint64_t value = 0;

	while (count--)
		value = value << 32 | fdt32_to_cpu(*cells++);
	return value;
}

/* The first address of the "reg" of a node; false when there is none. */
static bool read_reg(int node, uint64_t *address)
{
	int parent = fdt_parent_offset(fdt, node);
	int cells = fdt_address_cells(fdt, parent);
	int len;
	const fdt32_t *reg = fdt_getprop(fdt, node, "reg", &len);

	if (cells < 1 || !reg || len < cells * (int)sizeof(*reg))
		return false;
	*address = read_cells(reg, cells);
	return true;
}

void platform_init(const void *tree)
{
	int error = fdt_check_header(tree);

	if (error)
		fail("no device tree at 0x%lx (libfdt error %d); start the guest with QEMU's "
		     "-kernel", (uint64_t)tree, error);
	fdt = tree;
}

uint64_t platform_uart_base(void)
{
	const char *path = string_property("/chosen", "stdout-path"), *options;
	uint64_t base;
	int node;

	if (!path)
		return DEFAULT_UART;
	options = strchr(path, ':');
	node = fdt_path_offset_namelen(fdt, path, options ? options - path : (int)strlen(path));
	return node >= 0 && read_reg(node, &base) ? base : DEFAULT_UART;
}

bool platform_next_virtio(int *node, uint64_t *base)
{
	*node = fdt_node_offset_by_compatible(fdt, *node, "virtio,mmio");
	return *node >= 0 && read_reg(*node, base);
}

bool platform_psci_uses_smc(void)
{
	const char *method = string_property("/psci", "method");

	return method && !strcmp(method, "smc");
}

const char *platform_bootargs(void)
{
	const char *args = string_property("/chosen", "bootargs");

	return args ? args : "";
}

unsigned int platform_cpus(uint64_t *mpidr, unsigned int max)
{
	unsigned int count = 0;
	int node;

	fdt_for_each_subnode(node, fdt, fdt_path_offset(fdt, "/cpus")) {
		const char *type = fdt_getprop(fdt, node, "device_type", NULL);
		uint64_t affinity;

		if (!type || strcmp(type, "cpu") || !read_reg(node, &affinity))
			continue;
		if (count < max)
			mpidr[count] = affinity;
		count++;
	}
	return count;
}
