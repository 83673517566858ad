/* Guest operations: what an instruction does, as far as Xen can see it. */
#define __XEN_TOOLS__
#include "tests/fake/internal.h"

#include <xen/hvm/params.h>
#include <xen/hvm/dm_op.h>
#include <xen/sched.h>
#include <xen/vm_event.h>

#define X86_EFLAGS_IF 0x200u
#define X86_EFLAGS_TF 0x100u
#define MAX_REPS      4096u

#define VECTOR_DF          8
#define EVENT_HW_EXCEPTION 3 /* as in EVENTINJ */

/* Instruction lengths: what RIP goes on by. */
#define LENGTH_PIO    2
#define LENGTH_MEMORY 3
#define LENGTH_REP    2
#define LENGTH_HLT    1
#define LENGTH_CPUID  2
#define LENGTH_MSR    2
#define LENGTH_NOP    1
#define LENGTH_INT3   1
#define INT3_EVENT    (1u << 31 | XEN_DMOP_EVENT_sw_exc << 8 | 3)

static bool all_down(const struct domain *d)
{
	for (unsigned i = 0; i < d->nr_vcpus; i++)
		if (!d->vcpus[i].down)
			return false;
	return true;
}

static enum op_result run_hlt(struct vcpu *v, struct guest_op *op)
{
	if (op->phase == OP_HALTED)
		return OP_DONE; /* woken */
	v->cpu.rip += LENGTH_HLT;
	v->cpu.rflags &= ~(uint64_t)X86_EFLAGS_IF;
	if (!op->op.value) {
		v->down = true;
		if (all_down(v->d))
			xen_domain_shutdown(v->d, SHUTDOWN_poweroff);
		return OP_DONE;
	}
	v->cpu.rflags |= X86_EFLAGS_IF;
	op->phase = OP_HALTED;
	if (v->nmi || memchr(v->irr, true, sizeof v->irr))
		return OP_DONE;
	v->blocked = true;
	return OP_WAIT;
}

static enum op_result run_cpuid(struct vcpu *v, struct guest_op *op)
{
	uint32_t out[4];

	if (op->phase == OP_NEW) {
		xen_cpuid_guest(v, op->op.addr, op->op.value, out);
		op->rip = v->cpu.rip;
		v->cpu.rax = out[0];
		v->cpu.rbx = out[1];
		v->cpu.rcx = out[2];
		v->cpu.rdx = out[3];
		if (v->d->monitor.open) {
			if (!xen_monitor_cpuid(v, op->op.addr, op->op.value, LENGTH_CPUID))
				return OP_WAIT;
			op->phase = OP_SENT;
			return OP_WAIT;
		}
		v->cpu.rip += LENGTH_CPUID;
	} else if (v->cpu.rip == op->rip) {
		op->phase = OP_NEW; /* the agent did not skip it: it is executed again */
		return OP_WAIT;
	}
	out[0] = v->cpu.rax;
	out[1] = v->cpu.rbx;
	out[2] = v->cpu.rcx;
	out[3] = v->cpu.rdx;
	memcpy(op->data, out, sizeof out);
	return OP_DONE;
}

static enum op_result run_spin(struct vcpu *v, struct guest_op *op)
{
	uint8_t byte;

	op->phase = OP_HALTED;
	if (op->op.kind == FAKE_SPIN) {
		if (!v->unspin)
			return OP_IDLE;
		v->unspin = false;
		return OP_DONE;
	}
	if (!xen_memory_read(v->d, op->op.addr, &byte, 1) || byte != (uint8_t)op->op.value)
		return OP_IDLE;
	return OP_DONE;
}

/* With TF set it is followed by a #DB. */
static enum op_result run_nop(struct vcpu *v, struct guest_op *op)
{
	if (op->phase == OP_NEW) {
		v->cpu.rip += LENGTH_NOP;
		if (!(v->cpu.rflags & X86_EFLAGS_TF) || !v->d->monitor.debug)
			return OP_DONE;
		if (xen_monitor_exception(v, VM_EVENT_REASON_DEBUG_EXCEPTION, XEN_DMOP_EVENT_hw_exc,
					  0))
			op->phase = OP_SENT;
		return OP_WAIT;
	}
	return op->phase == OP_ANSWERED ? OP_DONE : OP_WAIT;
}

/* Over when somebody has moved RIP or injected the exception; else it is executed again. */
static enum op_result run_int3(struct vcpu *v, struct guest_op *op)
{
	if (op->phase == OP_SENT)
		return OP_WAIT;
	if (op->phase == OP_ANSWERED && v->cpu.rip != op->rip)
		return OP_DONE;
	if (v->injected || !v->d->monitor.debug) {
		v->cpu.pending_event = v->injected ? v->injected : INT3_EVENT;
		v->injected = 0;
		return OP_DONE;
	}
	op->phase = OP_NEW;
	op->rip = v->cpu.rip;
	if (xen_monitor_exception(v, VM_EVENT_REASON_SOFTWARE_BREAKPOINT, XEN_DMOP_EVENT_sw_exc,
				  LENGTH_INT3))
		op->phase = OP_SENT;
	return OP_WAIT;
}

enum op_result fake_op_run(struct vcpu *v, struct guest_op *op)
{
	switch (op->op.kind) {
	case FAKE_OUT:
	case FAKE_IN:
		return fake_op_port(v, op, LENGTH_PIO);
	case FAKE_READ:
	case FAKE_WRITE:
		return fake_op_memory(v, op, LENGTH_MEMORY);
	case FAKE_OUTS:
	case FAKE_INS:
	case FAKE_STOS:
	case FAKE_MOVS_TO:
	case FAKE_MOVS_FROM:
		return fake_op_rep(v, op, LENGTH_REP);
	case FAKE_HLT:
		return run_hlt(v, op);
	case FAKE_TRIPLE_FAULT:
		/* The exception whose delivery failed is left to be delivered again. */
		v->cpu.pending_vector = VECTOR_DF;
		v->cpu.pending_type = EVENT_HW_EXCEPTION;
		v->cpu.pending_error_valid = v->cpu.pending_valid = 1;
		xen_domain_shutdown(v->d, v->d->params[HVM_PARAM_TRIPLE_FAULT_REASON]);
		return OP_DONE;
	case FAKE_CPUID:
		return run_cpuid(v, op);
	case FAKE_RDMSR:
	case FAKE_WRMSR:
		fake_op_msr(v, op);
		v->cpu.rip += LENGTH_MSR;
		return OP_DONE;
	case FAKE_SPIN:
	case FAKE_POLL:
		return run_spin(v, op);
	case FAKE_CRASH:
		xen_domain_shutdown(v->d, SHUTDOWN_crash);
		return OP_DONE;
	case FAKE_NOP:
		return run_nop(v, op);
	case FAKE_INT3:
		return run_int3(v, op);
	}
	abort();
}
