/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Guest programs that call the firmware. They need no stack and run at any address. */
#include "guest.h"

	.section .rodata
	.balign	0x80
	.global	reset_guest, reset_guest_end
	.global	reset_guest_off, reset_guest_on, reset_guest_system
reset_guest:
	/* Turns this vCPU off */
reset_guest_off:
	mov	w0, #0x0002
	movk	w0, #0x8400, lsl #16
	hvc	#0
	b	.

	/* Turns vCPU 0 on as soon as it is off, and reports it. In: x20 the entry. */
reset_guest_on:
	mov	x19, #GUEST_MMIO
1:	mov	w0, #0x0003
	movk	w0, #0xc400, lsl #16
	mov	x1, #0
	mov	x2, x20
	mov	x3, #0
	hvc	#0
	cbnz	w0, 1b
	report	GUEST_VALUE, x0
	b	.

	/* Asks for a reset of the system */
reset_guest_system:
	mov	w0, #0x0009
	movk	w0, #0x8400, lsl #16
	hvc	#0
	b	.
reset_guest_end:

	.section .note.GNU-stack, "", %progbits
