// SPDX-License-Identifier: GPL-2.0-or-later
/* Transmits on a virtio console (device 3 of virtio 1.x): one exit of the vCPU for a line. */
#include <string.h>

#include "internal.h"

#define MMIO_MAGIC		0x000
#define MMIO_VERSION		0x004
#define MMIO_DEVICE_ID		0x008
#define MMIO_DRIVER_FEATURES	0x020
#define MMIO_DRIVER_FEATURES_SEL 0x024
#define MMIO_QUEUE_SEL		0x030
#define MMIO_QUEUE_NUM_MAX	0x034
#define MMIO_QUEUE_NUM		0x038
#define MMIO_QUEUE_READY	0x044
#define MMIO_QUEUE_NOTIFY	0x050
#define MMIO_STATUS		0x070
#define MMIO_QUEUE_DESC		0x080
#define MMIO_QUEUE_DRIVER	0x090
#define MMIO_QUEUE_DEVICE	0x0a0

#define MAGIC			0x74726976	/* "virt" */
#define VERSION_MODERN		2
#define DEVICE_CONSOLE		3
#define FEATURES_HIGH		1		/* bits 32 to 63 */
#define FEATURE_VERSION_1	(1 << 0)	/* bit 32 */

#define STATUS_ACKNOWLEDGE	1
#define STATUS_DRIVER		2
#define STATUS_DRIVER_OK	4
#define STATUS_FEATURES_OK	8

#define TRANSMITQ		1		/* of port 0 */
#define QUEUE_SIZE		1		/* a line at a time */
#define NO_INTERRUPT		1

static struct {
	uint64_t addr;
	uint32_t len;
	uint16_t flags, next;
} desc[QUEUE_SIZE] __attribute__((aligned(16)));

static struct {
	uint16_t flags, idx, ring[QUEUE_SIZE];
} avail;

static struct {
	uint16_t flags, idx;
	struct {
		uint32_t id, len;
	} ring[QUEUE_SIZE];
} used __attribute__((aligned(4)));

static uint64_t device;

static void set_address(unsigned int reg, const volatile void *address)
{
	mmio_write(device + reg, (uint64_t)address);
	mmio_write(device + reg + 4, (uint64_t)address >> 32);
}

static bool start_device(void)
{
	uint32_t status = STATUS_ACKNOWLEDGE | STATUS_DRIVER;

	mmio_write(device + MMIO_STATUS, 0);
	mmio_write(device + MMIO_STATUS, status);
	mmio_write(device + MMIO_DRIVER_FEATURES_SEL, FEATURES_HIGH);
	mmio_write(device + MMIO_DRIVER_FEATURES, FEATURE_VERSION_1);
	status |= STATUS_FEATURES_OK;
	mmio_write(device + MMIO_STATUS, status);
	mmio_write(device + MMIO_QUEUE_SEL, TRANSMITQ);
	if (!(mmio_read(device + MMIO_STATUS) & STATUS_FEATURES_OK) ||
	    mmio_read(device + MMIO_QUEUE_NUM_MAX) < QUEUE_SIZE)
		return false;
	avail.flags = NO_INTERRUPT;
	mmio_write(device + MMIO_QUEUE_NUM, QUEUE_SIZE);
	set_address(MMIO_QUEUE_DESC, desc);
	set_address(MMIO_QUEUE_DRIVER, &avail);
	set_address(MMIO_QUEUE_DEVICE, &used);
	mmio_write(device + MMIO_QUEUE_READY, 1);
	mmio_write(device + MMIO_STATUS, status | STATUS_DRIVER_OK);
	return true;
}

bool virtio_console_init(uint64_t base)
{
	if (mmio_read(base + MMIO_MAGIC) != MAGIC ||
	    mmio_read(base + MMIO_DEVICE_ID) != DEVICE_CONSOLE ||
	    mmio_read(base + MMIO_VERSION) != VERSION_MODERN)
		return false;
	device = base;
	return start_device();
}

/* Returns when the device has the text: the buffer is free, and power may go off. */
void virtio_console_write(const char *text, size_t len)
{
	desc[0].addr = (uint64_t)text;
	desc[0].len = len;
	avail.idx++;
	/*
	 * the device must see the queue before the notification, which is a store to Device memory
	 */
	asm volatile("dsb sy" : : : "memory");
	mmio_write(device + MMIO_QUEUE_NOTIFY, TRANSMITQ);
	while (__atomic_load_n(&used.idx, __ATOMIC_ACQUIRE) != avail.idx)
		asm volatile("yield");
}
