#include "libkvmxen/interrupts/interrupts_private.h"

#include <errno.h>
#include <string.h>
#include <time.h>

#include <xen/xen.h>
#include <xen/hvm/params.h>
#include <xen/hvm/save.h>

#include "libkvmxen/convert/convert.h"
#include "libkvmxen/message.h"

#define PIT_CHANNELS  3
#define PIT_COUNT_MAX 0x10000 /* what a count of 0 means */
#define PIT_MODE_NONE 0xff    /* KVM's mode of a channel that was never programmed */
#define PIT_SPEAKER   2       /* its gate is port 0x61's */

static int64_t now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * 1000000000ll + now.tv_nsec;
}

/* KVM's pit_load_count. */
static void load_count(struct kvm_pit_channel_state *channel)
{
	if (!channel->count)
		channel->count = PIT_COUNT_MAX;
	channel->count_load_time = now_ns();
}

static int check(const struct vm *vm, const char *name)
{
	if (vm->interrupts.pit)
		return 0;
	message_refused("%s: without KVM_CREATE_PIT2", name);
	return -ENXIO;
}

/* KVM looks at no flag but KVM_PIT_SPEAKER_DUMMY, which asks for a port 0x61 that does nothing; in
 * Xen that port always belongs to its PIT. */
static long create(struct vm *vm, const char *name)
{
	struct interrupts_private *p = vm->interrupts.private;
	unsigned i;
	int rc = 0;

	pthread_mutex_lock(&vm->lock);
	if (vm->interrupts.pit)
		rc = -EEXIST;
	else if (!vm->interrupts.irqchip)
		rc = -ENOENT;
	if (rc == 0) {
		pthread_mutex_lock(&p->lock);
		memset(&p->chips.pit, 0, sizeof p->chips.pit);
		for (i = 0; i < PIT_CHANNELS; i++) {
			p->chips.pit.channels[i].mode = PIT_MODE_NONE;
			p->chips.pit.channels[i].gate = i != PIT_SPEAKER;
			load_count(&p->chips.pit.channels[i]);
		}
		pthread_mutex_unlock(&p->lock);
		vm->interrupts.pit = true;
	}
	pthread_mutex_unlock(&vm->lock);
	if (rc < 0)
		message_refused("%s: %s", name,
				rc == -EEXIST ? "there is one" : "without KVM_CREATE_IRQCHIP");
	return rc;
}

long interrupts_create_pit2(struct vm *vm, const struct kvm_pit_config *config)
{
	return create(vm, "KVM_CREATE_PIT2");
}

long interrupts_create_pit(struct vm *vm)
{
	return create(vm, "KVM_CREATE_PIT");
}

static int get(struct vm *vm, struct kvm_pit_state2 *pit)
{
	struct interrupts_private *p = vm->interrupts.private;
	struct hvm_hw_pit record;
	uint32_t flags;
	bool ours;
	int rc;

	pthread_mutex_lock(&p->lock);
	ours = !interrupts_live(vm) || (p->chips.dirty & DIRTY_PIT);
	*pit = p->chips.pit;
	pthread_mutex_unlock(&p->lock);
	if (ours)
		return 0;
	rc = chips_record_get(vm, HVM_SAVE_CODE(PIT), 0, &record, sizeof record);
	if (rc < 0)
		return rc;
	/* Flags that Xen has no word for are the library's own. */
	flags = pit->flags & ~KVM_PIT_FLAGS_SPEAKER_DATA_ON;
	pit_record_to_kvm(pit, &record);
	pit->flags |= flags;
	return 0;
}

long interrupts_get_pit2(struct vm *vm, struct kvm_pit_state2 *pit)
{
	int rc = check(vm, "KVM_GET_PIT2");

	return rc < 0 ? rc : get(vm, pit);
}

long interrupts_get_pit(struct vm *vm, struct kvm_pit_state *pit)
{
	struct kvm_pit_state2 state;
	int rc = check(vm, "KVM_GET_PIT");

	if (rc == 0)
		rc = get(vm, &state);
	if (rc == 0)
		memcpy(pit->channels, state.channels, sizeof pit->channels);
	return rc;
}

/* flags NULL: KVM_SET_PIT, which has none. */
static void set(struct vm *vm, const struct kvm_pit_channel_state *channels, const uint32_t *flags)
{
	struct interrupts_private *p = vm->interrupts.private;
	unsigned i;

	pthread_mutex_lock(&p->lock);
	for (i = 0; i < PIT_CHANNELS; i++) {
		p->chips.pit.channels[i] = channels[i];
		load_count(&p->chips.pit.channels[i]);
	}
	if (flags)
		p->chips.pit.flags = *flags;
	p->chips.dirty |= DIRTY_PIT;
	pthread_mutex_unlock(&p->lock);
	atomic_fetch_or(&vm->work, VM_WORK_INTERRUPTS);
}

long interrupts_set_pit2(struct vm *vm, const struct kvm_pit_state2 *pit)
{
	int rc = check(vm, "KVM_SET_PIT2");

	if (rc == 0)
		set(vm, pit->channels, &pit->flags);
	return rc;
}

long interrupts_set_pit(struct vm *vm, const struct kvm_pit_state *pit)
{
	int rc = check(vm, "KVM_SET_PIT");

	if (rc == 0)
		set(vm, pit->channels, NULL);
	return rc;
}

unsigned interrupts_timer_mode(const struct vm *vm)
{
	return vm->interrupts.private->chips.pit_reinject ? HVMPTM_no_delay_for_missed_ticks
							  : HVMPTM_no_missed_ticks_pending;
}

int pit_set_timer_mode(struct vm *vm)
{
	return vm->xen.dev->ops->hvm_param_set(vm->xen.dev, vm->domid, HVM_PARAM_TIMER_MODE,
					       interrupts_timer_mode(vm));
}

long interrupts_reinject_control(struct vm *vm, const struct kvm_reinject_control *control)
{
	struct interrupts_private *p = vm->interrupts.private;
	int rc = check(vm, "KVM_REINJECT_CONTROL");

	if (rc < 0)
		return rc;
	pthread_mutex_lock(&p->lock);
	p->chips.pit_reinject = control->pit_reinject;
	if (interrupts_live(vm))
		rc = pit_set_timer_mode(vm);
	pthread_mutex_unlock(&p->lock);
	return rc;
}
