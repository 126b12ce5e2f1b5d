/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What we use of the UEFI specification (2.10), by its own names; what lies between is left out by size. On AArch64 its calling
 * convention is C's.
 */
#ifndef EFI_H
#define EFI_H

#include <stdint.h>

typedef uint64_t EFI_STATUS;
typedef void *EFI_HANDLE;

#define EFI_SUCCESS		0

typedef struct {
	uint32_t data1;
	uint16_t data2, data3;
	uint8_t data4[8];
} EFI_GUID;

/* 4.2 */
typedef struct {
	uint64_t signature;
	uint32_t revision, header_size, crc32, reserved;
} EFI_TABLE_HEADER;

/* 4.4; 7.2, 7.3, 7.4, 7.5 */
typedef struct {
	EFI_TABLE_HEADER hdr;
	void *task_priority_and_memory_allocation[4];
	EFI_STATUS (*GetMemoryMap)(uint64_t *size, void *map, uint64_t *key, uint64_t *descriptor_size, uint32_t *descriptor_version);
	void *memory_pool_events_and_timers[8];
	void *install_protocol[3];
	EFI_STATUS (*HandleProtocol)(EFI_HANDLE handle, const EFI_GUID *protocol, void **interface);
	void *reserved_and_lookup[5];
	void *images[4];
	EFI_STATUS (*ExitBootServices)(EFI_HANDLE image, uint64_t key);
	void *get_next_monotonic_count;
	EFI_STATUS (*Stall)(uint64_t microseconds);
} EFI_BOOT_SERVICES;

/* 4.5; 8.2 */
#define EFI_VARIABLE_NON_VOLATILE	1
#define EFI_VARIABLE_BOOTSERVICE_ACCESS	2
typedef struct {
	EFI_TABLE_HEADER hdr;
	void *times[4];
	void *virtual_memory[2];
	EFI_STATUS (*GetVariable)(const uint16_t *name, const EFI_GUID *vendor, uint32_t *attributes, uint64_t *size, void *data);
	void *get_next_variable_name;
	EFI_STATUS (*SetVariable)(const uint16_t *name, const EFI_GUID *vendor, uint32_t attributes, uint64_t size, const void *data);
} EFI_RUNTIME_SERVICES;

/* 4.6 */
typedef struct {
	EFI_GUID VendorGuid;
	const void *VendorTable;
} EFI_CONFIGURATION_TABLE;

/* 4.3 */
typedef struct {
	EFI_TABLE_HEADER hdr;
	void *firmware_vendor;
	uint32_t firmware_revision;
	void *consoles[6];
	EFI_RUNTIME_SERVICES *RuntimeServices;
	EFI_BOOT_SERVICES *BootServices;
	uint64_t NumberOfTableEntries;
	const EFI_CONFIGURATION_TABLE *ConfigurationTable;
} EFI_SYSTEM_TABLE;

/* 9.1 */
#define EFI_LOADED_IMAGE_PROTOCOL_GUID \
	{ 0x5b1b31a1, 0x9562, 0x11d2, { 0x8e, 0x3f, 0x00, 0xa0, 0xc9, 0x69, 0x72, 0x3b } }
typedef struct {
	uint32_t revision;
	EFI_HANDLE parent;
	EFI_SYSTEM_TABLE *system_table;
	EFI_HANDLE DeviceHandle;
	void *file_path, *reserved;
	uint32_t load_options_size;
	void *load_options;
	void *ImageBase;
	uint64_t ImageSize;
} EFI_LOADED_IMAGE_PROTOCOL;

/* 13.5 */
#define EFI_FILE_MODE_READ	1
typedef struct EFI_FILE_PROTOCOL EFI_FILE_PROTOCOL;
struct EFI_FILE_PROTOCOL {
	uint64_t revision;
	EFI_STATUS (*Open)(EFI_FILE_PROTOCOL *self, EFI_FILE_PROTOCOL **file, const uint16_t *name, uint64_t mode, uint64_t attributes);
	EFI_STATUS (*Close)(EFI_FILE_PROTOCOL *self);
	void *delete;
	EFI_STATUS (*Read)(EFI_FILE_PROTOCOL *self, uint64_t *size, void *buffer);
};

/* 13.4 */
#define EFI_SIMPLE_FILE_SYSTEM_PROTOCOL_GUID \
	{ 0x964e5b22, 0x6459, 0x11d2, { 0x8e, 0x39, 0x00, 0xa0, 0xc9, 0x69, 0x72, 0x3b } }
typedef struct EFI_SIMPLE_FILE_SYSTEM_PROTOCOL EFI_SIMPLE_FILE_SYSTEM_PROTOCOL;
struct EFI_SIMPLE_FILE_SYSTEM_PROTOCOL {
	uint64_t revision;
	EFI_STATUS (*OpenVolume)(EFI_SIMPLE_FILE_SYSTEM_PROTOCOL *self, EFI_FILE_PROTOCOL **root);
};

/* 4.6.1 */
#define EFI_ACPI_20_TABLE_GUID \
	{ 0x8868e871, 0xe4f1, 0x11d3, { 0xbc, 0x22, 0x00, 0x80, 0xc7, 0x3c, 0x88, 0x81 } }

#endif
