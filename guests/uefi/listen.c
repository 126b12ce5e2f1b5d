// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The guest answers on a TCP port, as Windows does once it is up. It uses the firmware's TCP/IP and
 * the first network card, and gets its address by DHCP. It closes each connection after the answer.
 */
#include "uefi.h"

/* An SSH server speaks first; on other ports the guest waits for the client. */
#define SSH_PORT	22
#define PAUSE_US	100000

static char greeting[] = "SSH-2.0-winlike\r\n";

static void *need_service(const EFI_BOOT_SERVICES *services, EFI_GUID guid, const char *name)
{
	void *interface;

	if (services->LocateProtocol(&guid, NULL, &interface) != EFI_SUCCESS)
		fail("the firmware has no %s; it needs a network card, and a CPU with random "
		     "numbers (FEAT_RNG)", name);
	return interface;
}

/* The firmware has started only the drivers that it boots from. */
static void connect_all(const EFI_BOOT_SERVICES *services)
{
	EFI_HANDLE *handles;
	uint64_t count;

	need(services->LocateHandleBuffer(EFI_ALL_HANDLES, NULL, NULL, &count, &handles),
	     "LocateHandleBuffer");
	for (uint64_t i = 0; i < count; i++)
		services->ConnectController(handles[i], NULL, NULL, true);
}

/* Configure() fails until DHCP has given an address. */
static void configure(const EFI_BOOT_SERVICES *services, EFI_TCP4_PROTOCOL *listener, uint16_t port)
{
	static const uint32_t policy = IP4_CONFIG2_POLICY_DHCP;
	EFI_IP4_CONFIG2_PROTOCOL *address =
		need_service(services, (EFI_GUID)EFI_IP4_CONFIG2_PROTOCOL_GUID, "Ip4Config2");
	const EFI_TCP4_CONFIG_DATA data = {
		.TimeToLive = 64, .AccessPoint = { .UseDefaultAddress = true, .StationPort = port,
						   .ActiveFlag = false },
	};
	EFI_STATUS status;

	need(address->SetData(address, IP4_CONFIG2_DATA_TYPE_POLICY, sizeof(policy), &policy),
	     "SetData of the policy DHCP");
	while ((status = listener->Configure(listener, &data)) == EFI_NO_MAPPING)
		services->Stall(PAUSE_US);
	need(status, "Configure");
}

/* Waits for the end of the token's call; returns its status, or the error of its start. */
static EFI_STATUS finish(const EFI_BOOT_SERVICES *services, EFI_TCP4_PROTOCOL *tcp,
			 EFI_TCP4_TOKEN *token, EFI_STATUS begun)
{
	if (begun != EFI_SUCCESS)
		return begun;
	while (services->CheckEvent(token->Event) == EFI_NOT_READY)
		tcp->Poll(tcp);
	return token->Status;
}

static EFI_STATUS transfer(const EFI_BOOT_SERVICES *services, EFI_TCP4_PROTOCOL *client,
			   EFI_TCP4_TOKEN *token,
			   EFI_STATUS (*call)(EFI_TCP4_PROTOCOL *self, EFI_TCP4_TOKEN *token),
			   void *buffer, uint32_t size)
{
	EFI_TCP4_DATA data = { .Flags = { true }, .DataLength = size, .FragmentCount = 1,
			       .FragmentTable = { { size, buffer } } };

	token->Data = &data;
	return finish(services, client, token, call(client, token));
}

/* If the client has gone meanwhile, the errors of these calls do not matter. */
static void answer(const EFI_BOOT_SERVICES *services, EFI_TCP4_PROTOCOL *client,
		   EFI_TCP4_TOKEN *token, bool speaks_first)
{
	char question[64];

	if (speaks_first || transfer(services, client, token, client->Receive, question,
				     sizeof(question)) == EFI_SUCCESS)
		transfer(services, client, token, client->Transmit, greeting, sizeof(greeting) - 1);
	token->AbortOnClose = false;
	finish(services, client, token, client->Close(client, token));
}

void listen(const EFI_BOOT_SERVICES *services, uint16_t port)
{
	EFI_GUID guid = EFI_TCP4_PROTOCOL_GUID;
	EFI_SERVICE_BINDING_PROTOCOL *binding;
	EFI_TCP4_PROTOCOL *listener, *client;
	EFI_HANDLE handle = NULL;
	EFI_TCP4_TOKEN token;

	connect_all(services);
	binding = need_service(services, (EFI_GUID)EFI_TCP4_SERVICE_BINDING_PROTOCOL_GUID, "TCP");
	need(binding->CreateChild(binding, &handle), "CreateChild");
	need(services->HandleProtocol(handle, &guid, (void **)&listener), "HandleProtocol of TCP");
	configure(services, listener, port);
	need(services->CreateEvent(0, 0, NULL, NULL, &token.Event), "CreateEvent");
	/* turns the firmware's watchdog off, which resets a machine that does not boot on */
	need(services->SetWatchdogTimer(0, 0, 0, NULL), "SetWatchdogTimer");
	print("listen port=%u", port);
	for (;;) {
		need(finish(services, listener, &token, listener->Accept(listener, &token)),
		     "Accept");
		handle = token.NewChildHandle;
		need(services->HandleProtocol(handle, &guid, (void **)&client),
		     "HandleProtocol of a connection");
		answer(services, client, &token, port == SSH_PORT);
		binding->DestroyChild(binding, handle);
	}
}
