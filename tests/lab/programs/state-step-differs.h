// The instructions of which real KVM on AMD leaves another state than Xen, or shows another exit:
// see `differences`.

STEP("flags", "popcnt %rax, %rbx")
STEP("string", "rep outsb")
STEP("string", "rep outsw")
STEP("string", "rep outsl")
STEP("interrupt", "ud2")
STEP("interrupt", "mov %cr4, %rax; bts $30, %rax; mov %rax, %cr4")
STEP("msr", "mov $0x174, %ecx; mov $0x12345678, %eax; mov $0x7fff, %edx; wrmsr")
STEP("msr", "mov $0x176, %ecx; mov $0x12345678, %eax; mov $0x7fff, %edx; wrmsr")
STEP("msr", "mov $0xc0000080, %ecx; mov $0x502, %eax; xor %edx, %edx; wrmsr")
STEP("msr", "mov $0xc0000080, %ecx; mov $0x001, %eax; xor %edx, %edx; wrmsr")
STEP("msr", "mov $0x12345678, %ecx; rdmsr")
STEP("msr", "mov $0x12345678, %ecx; wrmsr")
STEP("fpu", "emms")
