//! Threads as CPUs.

use crate::config::HostError;
use crate::cpu::Cpu;
use crate::host_machine::HostMachine;
use machine::{CpuId, TaskId};
use std::marker::PhantomData;
use std::mem::{MaybeUninit, size_of};
use std::sync::atomic::Ordering::{AcqRel, Acquire, Release};
use std::thread::{Scope, ScopedJoinHandle};

/// A CPU, claimed by this thread: what it does in user mode goes through it, and the thread may call the
/// manager with its number. Given back when dropped. Not `Send`.
pub struct HostCpu<'m> {
    pub(crate) machine: &'m HostMachine,
    pub(crate) state: &'m Cpu,
    cpu: CpuId,
    /// Where the thread might run before it was bound.
    affinity: Option<libc::cpu_set_t>,
    not_send: PhantomData<*mut ()>,
}

fn affinity() -> Option<libc::cpu_set_t> {
    let mut set = MaybeUninit::<libc::cpu_set_t>::zeroed();
    // SAFETY: the host writes at most the size given to `set`.
    let done = unsafe { libc::sched_getaffinity(0, size_of::<libc::cpu_set_t>(), set.as_mut_ptr()) };
    // SAFETY: zero is a valid set (an empty one), and the host wrote another.
    (done == 0).then(|| unsafe { set.assume_init() })
}

fn set_affinity(set: &libc::cpu_set_t) {
    // SAFETY: the host reads the set. It may refuse; the thread then runs where it did.
    unsafe { libc::sched_setaffinity(0, size_of::<libc::cpu_set_t>(), set) };
}

/// Binds the thread to the processor of number `n` among those it may run on; answers which those are.
fn bind(n: u32) -> Option<libc::cpu_set_t> {
    let all = affinity()?;
    // SAFETY: reads bits of a set, below its size.
    let has = |processor: &usize| unsafe { libc::CPU_ISSET(*processor, &all) };
    let allowed: Vec<usize> = (0..libc::CPU_SETSIZE as usize).filter(has).collect();
    let processor = *allowed.get(n as usize % allowed.len().max(1))?;
    let mut one = all;
    // SAFETY: writes bits of a set, below its size.
    unsafe {
        libc::CPU_ZERO(&mut one);
        libc::CPU_SET(processor, &mut one);
    }
    set_affinity(&one);
    Some(all)
}

impl HostMachine {
    /// This thread is the CPU from here on.
    pub fn claim(&self, cpu: CpuId) -> Result<HostCpu<'_>, HostError> {
        let state = self.cpus.get(cpu.0 as usize).ok_or(HostError::NoSuchCpu(cpu))?;
        // ORDERING: Acquire pairs with the Release in `drop`: the CPU is as its last thread left it.
        if state.claimed.compare_exchange(false, true, AcqRel, Acquire).is_err() {
            return Err(HostError::Claimed(cpu));
        }
        let affinity = if self.pin { bind(cpu.0) } else { None };
        Ok(HostCpu { machine: self, state, cpu, affinity, not_send: PhantomData })
    }

    /// Runs threads that are CPUs; returns when all of them have ended.
    ///
    /// ```
    /// # #[cfg(all(target_os = "linux", target_arch = "x86_64"))] {
    /// use host::{HostConfig, HostMachine};
    /// use machine::CpuId;
    ///
    /// let machine = HostMachine::new(&HostConfig { cpus: 2, ..HostConfig::default() })?;
    /// let sum = machine.run(|threads| {
    ///     let both = [0, 1].map(|n| threads.spawn(CpuId(n), move |cpu| cpu.id().0));
    ///     both.into_iter().map(|thread| thread.join().expect("no panic").expect("a free CPU")).sum::<u32>()
    /// });
    /// assert_eq!(sum, 1);
    /// # }
    /// # Ok::<(), host::HostError>(())
    /// ```
    pub fn run<'env, R>(&'env self, threads: impl for<'scope> FnOnce(&Running<'scope, 'env>) -> R) -> R {
        std::thread::scope(|scope| threads(&Running { machine: self, scope }))
    }
}

/// What starts threads that are CPUs.
pub struct Running<'scope, 'env> {
    machine: &'env HostMachine,
    scope: &'scope Scope<'scope, 'env>,
}

impl<'scope, 'env> Running<'scope, 'env> {
    /// Starts a thread that claims the CPU; the error is [`HostMachine::claim`]'s.
    pub fn spawn<T: Send + 'scope>(
        &self,
        cpu: CpuId,
        body: impl FnOnce(&HostCpu<'env>) -> T + Send + 'scope,
    ) -> ScopedJoinHandle<'scope, Result<T, HostError>> {
        let machine = self.machine;
        self.scope.spawn(move || machine.claim(cpu).map(|cpu| body(&cpu)))
    }
}

impl<'m> HostCpu<'m> {
    /// The machine.
    pub fn machine(&self) -> &'m HostMachine {
        self.machine
    }

    /// Its number.
    pub fn id(&self) -> CpuId {
        self.cpu
    }

    /// The task that the thread is.
    pub fn task(&self) -> TaskId {
        TaskId(self.cpu.0)
    }
}

impl Drop for HostCpu<'_> {
    fn drop(&mut self) {
        if let Some(before) = &self.affinity {
            set_affinity(before);
        }
        // ORDERING: Release pairs with the Acquire in `claim`.
        self.state.claimed.store(false, Release);
    }
}
