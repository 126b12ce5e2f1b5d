/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The parts of the UEFI specification (2.10) that we use, by its names; placeholders keep the
 * offsets of what is between them. On AArch64 its calling convention is C's.
 */
#ifndef EFI_H
#define EFI_H

#include <stdint.h>

typedef uint64_t EFI_STATUS;
typedef void *EFI_HANDLE;
typedef void *EFI_EVENT;

#define EFI_SUCCESS		0
#define EFI_NOT_READY		0x8000000000000006ULL
#define EFI_NO_MAPPING		0x8000000000000011ULL

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

#define EFI_ALL_HANDLES		0
/* 4.4; 7.2, 7.3, 7.4, 7.5 */
typedef struct {
	EFI_TABLE_HEADER hdr;
	void *task_priority_and_memory_allocation[4];
	EFI_STATUS (*GetMemoryMap)(uint64_t *size, void *map, uint64_t *key,
				   uint64_t *descriptor_size, uint32_t *descriptor_version);
	void *memory_pool[2];
	EFI_STATUS (*CreateEvent)(uint32_t type, uint64_t level, void *notify, void *context,
				  EFI_EVENT *event);
	void *timers_and_events[4];
	EFI_STATUS (*CheckEvent)(EFI_EVENT event);
	void *install_protocol[3];
	EFI_STATUS (*HandleProtocol)(EFI_HANDLE handle, const EFI_GUID *protocol, void **interface);
	void *reserved_and_lookup[5];
	void *images[4];
	EFI_STATUS (*ExitBootServices)(EFI_HANDLE image, uint64_t key);
	void *get_next_monotonic_count;
	EFI_STATUS (*Stall)(uint64_t microseconds);
	EFI_STATUS (*SetWatchdogTimer)(uint64_t seconds, uint64_t code, uint64_t size,
				       const uint16_t *data);
	EFI_STATUS (*ConnectController)(EFI_HANDLE controller, EFI_HANDLE *drivers, void *remaining,
					uint8_t recursive);
	void *controllers_and_protocols[5];
	EFI_STATUS (*LocateHandleBuffer)(int type, const EFI_GUID *protocol, void *key,
					 uint64_t *count, EFI_HANDLE **handles);
	EFI_STATUS (*LocateProtocol)(const EFI_GUID *protocol, void *registration,
				     void **interface);
} EFI_BOOT_SERVICES;

/* 4.5; 8.2 */
#define EFI_VARIABLE_NON_VOLATILE	1
#define EFI_VARIABLE_BOOTSERVICE_ACCESS	2
typedef struct {
	EFI_TABLE_HEADER hdr;
	void *times[4];
	void *virtual_memory[2];
	EFI_STATUS (*GetVariable)(const uint16_t *name, const EFI_GUID *vendor,
				  uint32_t *attributes, uint64_t *size, void *data);
	void *get_next_variable_name;
	EFI_STATUS (*SetVariable)(const uint16_t *name, const EFI_GUID *vendor, uint32_t attributes,
				  uint64_t size, const void *data);
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
	EFI_STATUS (*Open)(EFI_FILE_PROTOCOL *self, EFI_FILE_PROTOCOL **file, const uint16_t *name,
			   uint64_t mode, uint64_t attributes);
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

/* 11.6 */
typedef struct EFI_SERVICE_BINDING_PROTOCOL EFI_SERVICE_BINDING_PROTOCOL;
struct EFI_SERVICE_BINDING_PROTOCOL {
	EFI_STATUS (*CreateChild)(EFI_SERVICE_BINDING_PROTOCOL *self, EFI_HANDLE *child);
	EFI_STATUS (*DestroyChild)(EFI_SERVICE_BINDING_PROTOCOL *self, EFI_HANDLE child);
};

/* 28.1 */
#define EFI_TCP4_SERVICE_BINDING_PROTOCOL_GUID \
	{ 0x00720665, 0x67eb, 0x4a99, { 0xba, 0xf7, 0xd3, 0xc3, 0x3a, 0x1c, 0x7c, 0xc9 } }
#define EFI_TCP4_PROTOCOL_GUID \
	{ 0x65530bc7, 0xa359, 0x410f, { 0xb0, 0x10, 0x5a, 0xad, 0xc7, 0xec, 0x2b, 0x62 } }
typedef struct {
	uint8_t TypeOfService, TimeToLive;
	struct {
		uint8_t UseDefaultAddress, StationAddress[4], SubnetMask[4];
		uint16_t StationPort;
		uint8_t RemoteAddress[4];
		uint16_t RemotePort;
		uint8_t ActiveFlag;
	} AccessPoint;
	void *ControlOption;
} EFI_TCP4_CONFIG_DATA;
/* Transmit data, whose first flag is Push, or receive data, whose only flag is UrgentFlag */
typedef struct {
	uint8_t Flags[2];
	uint32_t DataLength, FragmentCount;
	struct {
		uint32_t FragmentLength;
		void *FragmentBuffer;
	} FragmentTable[1];
} EFI_TCP4_DATA;
/* Three kinds of token in one; each call uses its own */
typedef struct {
	EFI_EVENT Event;
	EFI_STATUS Status;
	union {
		EFI_HANDLE NewChildHandle;
		EFI_TCP4_DATA *Data;
		uint8_t AbortOnClose;
	};
} EFI_TCP4_TOKEN;
typedef struct EFI_TCP4_PROTOCOL EFI_TCP4_PROTOCOL;
struct EFI_TCP4_PROTOCOL {
	void *get_mode_data;
	EFI_STATUS (*Configure)(EFI_TCP4_PROTOCOL *self, const EFI_TCP4_CONFIG_DATA *data);
	void *routes_and_connect[2];
	EFI_STATUS (*Accept)(EFI_TCP4_PROTOCOL *self, EFI_TCP4_TOKEN *token);
	EFI_STATUS (*Transmit)(EFI_TCP4_PROTOCOL *self, EFI_TCP4_TOKEN *token);
	EFI_STATUS (*Receive)(EFI_TCP4_PROTOCOL *self, EFI_TCP4_TOKEN *token);
	EFI_STATUS (*Close)(EFI_TCP4_PROTOCOL *self, EFI_TCP4_TOKEN *token);
	void *cancel;
	EFI_STATUS (*Poll)(EFI_TCP4_PROTOCOL *self);
};

/* 28.5 */
#define EFI_IP4_CONFIG2_PROTOCOL_GUID \
	{ 0x5b446ed1, 0xe30b, 0x4faa, { 0x87, 0x1a, 0x36, 0x54, 0xec, 0xa3, 0x60, 0x80 } }
#define IP4_CONFIG2_DATA_TYPE_POLICY	1
#define IP4_CONFIG2_POLICY_DHCP		1
typedef struct EFI_IP4_CONFIG2_PROTOCOL EFI_IP4_CONFIG2_PROTOCOL;
struct EFI_IP4_CONFIG2_PROTOCOL {
	EFI_STATUS (*SetData)(EFI_IP4_CONFIG2_PROTOCOL *self, int type, uint64_t size,
			      const void *data);
};

/* 4.6.1 */
#define EFI_ACPI_20_TABLE_GUID \
	{ 0x8868e871, 0xe4f1, 0x11d3, { 0xbc, 0x22, 0x00, 0x80, 0xc7, 0x3c, 0x88, 0x81 } }

#endif
