/*
 * PIT: three channels. When they were loaded is lost: Xen starts them anew with every load.
 */
#include <assert.h>
#include <string.h>

#include "libkvmxen/convert/convert.h"

#define CHANNELS 3

/* A channel of Xen's is one of KVM's without the time of its load. */
#define CHANNEL_SIZE offsetof(struct kvm_pit_channel_state, count_load_time)
static_assert(sizeof(struct hvm_hw_pit) == CHANNELS * 16 + 8, "PIT record");
static_assert(CHANNEL_SIZE == sizeof(((struct hvm_hw_pit *)0)->channels[0]),
	      "channels have the same fields");
#define SAME_PLACE(field)                                                                          \
	static_assert(offsetof(struct kvm_pit_channel_state, field) ==                             \
			      offsetof(struct hvm_hw_pit, channels[0].field),                      \
		      #field " is at the same place in both")
SAME_PLACE(count);
SAME_PLACE(latched_count);
SAME_PLACE(count_latched);
SAME_PLACE(status_latched);
SAME_PLACE(status);
SAME_PLACE(read_state);
SAME_PLACE(write_state);
SAME_PLACE(write_latch);
SAME_PLACE(rw_mode);
SAME_PLACE(mode);
SAME_PLACE(bcd);
SAME_PLACE(gate);

void pit_record_from_kvm(struct hvm_hw_pit *record, const struct kvm_pit_state2 *pit)
{
	for (int i = 0; i < CHANNELS; i++)
		memcpy(&record->channels[i], &pit->channels[i], CHANNEL_SIZE);
	record->speaker_data_on = !!(pit->flags & KVM_PIT_FLAGS_SPEAKER_DATA_ON);
	record->pad0 = 0;
}

void pit_record_to_kvm(struct kvm_pit_state2 *pit, const struct hvm_hw_pit *record)
{
	memset(pit, 0, sizeof *pit);
	for (int i = 0; i < CHANNELS; i++)
		memcpy(&pit->channels[i], &record->channels[i], CHANNEL_SIZE);
	if (record->speaker_data_on)
		pit->flags |= KVM_PIT_FLAGS_SPEAKER_DATA_ON;
}
