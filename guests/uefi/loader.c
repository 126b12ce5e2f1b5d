// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * From the firmware's call to ExitBootServices: reads parameters and tables, and prepares what
 * start_kernel needs.
 */
#include <string.h>

#include "uefi.h"

#define PARAMETERS	u"\\EFI\\BOOT\\winlike.txt"

#define REBOOTS		u"winlikeReboots"
/* The GUID of our own variables */
static const EFI_GUID vendor = { 0x6f5b4f34, 0x5f4c, 0x4f07,
				 { 0x9a, 0x3d, 0x0d, 0x4c, 0xf2, 0xa0, 0xc0, 0x03 } };

#define CTR_DMINLINE_SHIFT	16
#define CTR_DMINLINE_MASK	0xf

static char parameters[256];
static EFI_STATUS (*boot_services_stall)(uint64_t us);
static const EFI_RUNTIME_SERVICES *runtime;

const char *platform_bootargs(void)
{
	return parameters;
}

void need(EFI_STATUS status, const char *call)
{
	if (status != EFI_SUCCESS)
		fail("%s returned 0x%lx", call, status);
}

void firmware_stall(uint64_t us)
{
	EFI_STATUS status = boot_services_stall(us);

	if (status != EFI_SUCCESS)
		fail("Stall of %lu us returned 0x%lx", us, status);
}

uint64_t read_reboots(void)
{
	uint64_t count, size = sizeof(count);

	return runtime->GetVariable(REBOOTS, &vendor, NULL, &size, &count) == EFI_SUCCESS &&
		size == sizeof(count) ? count : 0;
}

void write_reboots(uint64_t count)
{
	const uint32_t attributes = EFI_VARIABLE_NON_VOLATILE | EFI_VARIABLE_BOOTSERVICE_ACCESS;
	EFI_STATUS status = runtime->SetVariable(REBOOTS, &vendor, attributes, sizeof(count),
						 &count);

	if (status != EFI_SUCCESS)
		fail("SetVariable returned 0x%lx; are the firmware's variables writable?", status);
}

static void *need_protocol(const EFI_SYSTEM_TABLE *system, EFI_HANDLE handle, EFI_GUID guid)
{
	void *interface;
	EFI_STATUS status = system->BootServices->HandleProtocol(handle, &guid, &interface);

	if (status != EFI_SUCCESS)
		fail("HandleProtocol of %x-... returned 0x%lx", guid.data1, status);
	return interface;
}

/* Reads a file beside the program. Without it all parameters are the defaults. */
static void read_parameters(const EFI_SYSTEM_TABLE *system, const EFI_LOADED_IMAGE_PROTOCOL *image)
{
	EFI_SIMPLE_FILE_SYSTEM_PROTOCOL *volume =
		need_protocol(system, image->DeviceHandle,
			      (EFI_GUID)EFI_SIMPLE_FILE_SYSTEM_PROTOCOL_GUID);
	EFI_FILE_PROTOCOL *root, *file;
	uint64_t size = sizeof(parameters);
	EFI_STATUS status;

	need(volume->OpenVolume(volume, &root), "OpenVolume");
	if (root->Open(root, &file, PARAMETERS, EFI_FILE_MODE_READ, 0) != EFI_SUCCESS)
		return;
	status = file->Read(file, &size, parameters);
	if (status != EFI_SUCCESS || size == sizeof(parameters))
		fail("cannot read the parameters (status 0x%lx); the limit is %u bytes", status,
		     (unsigned int)sizeof(parameters) - 1);
	for (size_t i = 0; i < size; i++)
		if (parameters[i] < ' ')
			parameters[i] = ' ';
}

static const void *find_rsdp(const EFI_SYSTEM_TABLE *system)
{
	static const EFI_GUID guid = EFI_ACPI_20_TABLE_GUID;

	for (uint64_t i = 0; i < system->NumberOfTableEntries; i++)
		if (!memcmp(&system->ConfigurationTable[i].VendorGuid, &guid, sizeof(guid)))
			return system->ConfigurationTable[i].VendorTable;
	return NULL;
}

/*
 * An event may change the map. ExitBootServices then refuses the key, but has ended all events, so
 * the second try succeeds.
 */
static void exit_boot_services(const EFI_SYSTEM_TABLE *system, EFI_HANDLE handle)
{
	static uint64_t map[4096];
	uint64_t key, descriptor_size;
	uint32_t descriptor_version;
	EFI_STATUS status = EFI_SUCCESS;

	for (int tries = 0; tries < 2; tries++) {
		uint64_t size = sizeof(map);

		need(system->BootServices->GetMemoryMap(&size, map, &key, &descriptor_size,
							&descriptor_version), "GetMemoryMap");
		status = system->BootServices->ExitBootServices(handle, key);
		if (status == EFI_SUCCESS)
			return;
	}
	need(status, "ExitBootServices");
}

/* vCPUs start with their MMU off and read memory, not the caches: the image must be there. */
static void clean_image(const EFI_LOADED_IMAGE_PROTOCOL *image)
{
	uint64_t line = 4 << (read_sysreg(ctr_el0) >> CTR_DMINLINE_SHIFT & CTR_DMINLINE_MASK);
	uint64_t start = (uint64_t)image->ImageBase;

	for (uint64_t address = start & -line; address < start + image->ImageSize; address += line)
		asm volatile("dc cvac, %0" : : "r"(address) : "memory");
	asm volatile("dsb sy" : : : "memory");
}

EFI_STATUS efi_main(EFI_HANDLE handle, const EFI_SYSTEM_TABLE *system)
{
	const void *rsdp = find_rsdp(system);
	const EFI_LOADED_IMAGE_PROTOCOL *image;

	/* not set yet, and vcpu_index() needs it */
	write_sysreg(0, tpidr_el1);
	platform_init(rsdp);
	output_init();
	psci_init();
	image = need_protocol(system, handle, (EFI_GUID)EFI_LOADED_IMAGE_PROTOCOL_GUID);
	read_parameters(system, image);
	if (read_sysreg(CurrentEL) == CURRENTEL_EL2)
		fail("the firmware runs at EL2, where the counter would have to be set up in "
		     "another way; give the VM no EL2");
	runtime = system->RuntimeServices;
	boot_services_stall = system->BootServices->Stall;
	loader_main(system->BootServices);
	exit_boot_services(system, handle);
	clean_image(image);
	start_kernel(rsdp);
}
