//! Edits of services.

use crate::apply::{Refusal, ServiceSettings};
use crate::model::{Engine, Service, Table};
use crate::rules::Rules;
use rvs_core::abi::{SchedState, ServiceKey};
use rvs_core::sched::Kind;

impl Table {
    /// Index of a service.
    pub(crate) fn position(&self, key: &ServiceKey) -> Option<usize> {
        self.services.iter().position(|service| service.key == *key)
    }

    /// A service by its key.
    pub fn service(&self, key: &ServiceKey) -> Option<&Service> {
        self.services.iter().find(|service| service.key == *key)
    }

    pub(crate) fn add_service(&mut self, settings: &ServiceSettings, rules: &Rules<'_>) -> Result<(), Refusal> {
        rules.capabilities.check_service(settings)?;
        if self.position(&settings.key).is_some() {
            return Err(Refusal::ServiceExists);
        }
        let mut service = Service::new(settings)?;
        service.attach_scheduler();
        self.services.push(service);
        Ok(())
    }

    pub(crate) fn edit_service(&mut self, settings: &ServiceSettings, rules: &Rules<'_>) -> Result<(), Refusal> {
        rules.capabilities.check_service(settings)?;
        let at = self.position(&settings.key).ok_or(Refusal::NoService)?;
        let wanted = Service::new(settings)?;
        let service = &mut self.services[at];
        let rescheduled = service.sched != wanted.sched;
        let (dests, sched_state) = (std::mem::take(&mut service.dests), service.sched_state);
        *service = Service { dests, sched_state, ..wanted };
        if rescheduled {
            service.attach_scheduler();
        }
        Ok(())
    }

    pub(crate) fn delete_service(&mut self, key: &ServiceKey) -> Result<(), Refusal> {
        let at = self.position(key).ok_or(Refusal::NoService)?;
        self.services.remove(at);
        Ok(())
    }
}

impl Service {
    /// A service with these settings and no destinations, its scheduler not yet attached.
    fn new(settings: &ServiceSettings) -> Result<Self, Refusal> {
        let sched = Kind::from_name(&settings.sched).ok_or(Refusal::NoScheduler)?;
        let engine = match settings.engine.as_deref() {
            None => None,
            Some(name) => Some(Engine::from_name(name).ok_or(Refusal::NoScheduler)?),
        };
        Ok(Self {
            key: settings.key,
            sched,
            flags: settings.flags,
            persist_secs: settings.persist_secs,
            netmask: settings.netmask,
            engine,
            sched_state: SchedState::START,
            dests: Vec::new(),
        })
    }

    /// The scheduler begins with the present destinations.
    fn attach_scheduler(&mut self) {
        self.sched_state = SchedState::START;
        self.destinations_changed();
    }

    /// Tells the scheduler of one change of the destinations; `sched_state.pos` must already fit the new list.
    pub(crate) fn destinations_changed(&mut self) {
        self.sched_state = self.sched.changed(self.sched_state, self.dests.iter().map(|dest| dest.weight));
    }
}
