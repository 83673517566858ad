// Threads of the monitor write to memory all the time, while it becomes a slot of a running guest
// and stops being one: no write is lost, and nobody dies.  Anonymous memory, then a memfd's.

#define _GNU_SOURCE
#include "vm.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <sys/mman.h>
#include <unistd.h>

#define THREADS 2
#define PAGES   16
#define ROUNDS  10
#define HIGH    0x40000000

GUEST(guest, 64, "movl $1, DATA; 1: sti; hlt; jmp 1b");

static _Atomic(uint8_t *) current;
static atomic_uint idle;
static atomic_bool end;

// Each thread has a word of its own in each page, and knows what must be in it.
static void *touch(void *argument)
{
	size_t index = (size_t)argument;
	unsigned long lost = 0;

	for (uint8_t *memory; !atomic_load(&end);) {
		uint64_t wanted = 0;

		memory = atomic_load(&current);
		if (!memory) {
			sleep_ms(1);
			continue;
		}
		for (; atomic_load(&current); wanted++)
			for (size_t page = 0; page < PAGES; page++) {
				volatile uint64_t *word =
					(volatile uint64_t *)(memory + page * 0x1000) + index;

				lost += *word != wanted;
				*word = wanted + 1;
			}
		for (size_t page = 0; page < PAGES; page++)
			lost += ((uint64_t *)(memory + page * 0x1000))[index] != wanted;
		atomic_fetch_add(&idle, 1);
		while (atomic_load(&idle) && !atomic_load(&current) && !atomic_load(&end))
			sleep_ms(1);
	}
	return (void *)lost;
}

static uint8_t *shared_new(size_t size)
{
	int fd = memfd_create("memory", MFD_CLOEXEC);
	void *memory;

	if (fd < 0 || ftruncate(fd, size))
		fail("memfd_create");
	memory = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (memory == MAP_FAILED)
		fail("mmap");
	close(fd);
	return memory;
}

static void rounds(struct vm *vm, uint8_t *(*new)(size_t size))
{
	for (int i = 0; i < ROUNDS; i++) {
		uint8_t *memory = new (PAGES * 0x1000);

		atomic_store(&idle, 0);
		atomic_store(&current, memory);
		sleep_ms(i % 3);
		vm_slot(vm, 1, 0, HIGH, PAGES * 0x1000, memory);
		sleep_ms(i % 4);
		vm_slot(vm, 1, 0, HIGH, 0, memory);
		sleep_ms(i % 2);
		atomic_store(&current, NULL);
		while (atomic_load(&idle) < THREADS)
			sleep_ms(1);
		munmap(memory, PAGES * 0x1000);
	}
}

static uint8_t *anonymous_new(size_t size)
{
	return memory_new(size);
}

int main(void)
{
	struct vm vm;
	struct vcpu vcpu;
	struct vcpu_thread thread;
	pthread_t threads[THREADS];

	vm_boot_irqchip(&vm, &vcpu, 64, guest);
	vcpu_thread_start(&thread, &vcpu);
	if (!wait_for((volatile uint32_t *)(vm.ram + DATA), 1))
		fail("the guest does not run");
	for (size_t i = 0; i < THREADS; i++)
		if (pthread_create(&threads[i], NULL, touch, (void *)i))
			fail("pthread_create");
	rounds(&vm, anonymous_new);
	rounds(&vm, shared_new);
	atomic_store(&end, true);
	for (size_t i = 0; i < THREADS; i++) {
		void *lost;

		pthread_join(threads[i], &lost);
		printf("lost: %lu\n", (unsigned long)lost);
	}
	vcpu_thread_stop(&thread);
	vcpu_thread_join(&thread);
	return 0;
}
