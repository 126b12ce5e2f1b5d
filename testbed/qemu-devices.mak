# SPDX-License-Identifier: GPL-2.0-or-later
# The devices of the QEMU that runs inside the emulated host: the virt machine, and the devices of
# the tests' guests. A QEMU with all devices of a PCI machine takes a seventh longer to build; the
# packaged QEMU has them all (scripts/build-qemu --package).
CONFIG_ARM_VIRT=y

# libvirt's default bus and devices
CONFIG_PCIE_PORT=y
CONFIG_VIRTIO_PCI=y
CONFIG_VIRTIO_BALLOON=y

CONFIG_VIRTIO_BLK=y
CONFIG_VIRTIO_NET=y
CONFIG_VIRTIO_RNG=y
CONFIG_VIRTIO_SCSI=y
CONFIG_VIRTIO_SERIAL=y
CONFIG_GENERIC_LOADER=y
CONFIG_PVPANIC_PCI=y

# For Windows: devices that it has drivers for, and a TPM
CONFIG_NVME_PCI=y
CONFIG_TPM_EMULATOR=y
CONFIG_TPM_TIS_SYSBUS=y
CONFIG_USB_HID=y
CONFIG_USB_NETWORK=y
CONFIG_USB_STORAGE_CLASSIC=y
CONFIG_USB_XHCI_PCI=y

# The machine and NVMe link to these, but do not select them
CONFIG_CXL=y
CONFIG_CXL_MEM_DEVICE=y
CONFIG_PXB=y
CONFIG_SPDM_SOCKET=y
