//! The optimizer (AdamW, Loshchilov & Hutter 2019), and the checkpoint from which a training resumes.

use std::error::Error;
use std::path::Path;

use tch::{Device, Kind, Tensor};

use super::model::Variables;

const BETA1: f64 = 0.9;
const BETA2: f64 = 0.98;
const EPS: f64 = 1e-8;
const WEIGHT_DECAY: f64 = 0.05;
/// Maximum norm of the gradient of all tensors together.
const MAX_GRADIENT: f64 = 1.0;

/// All that changes during training. Every random choice of a step follows from the seed and the step's number, so that no
/// state of a generator belongs to it.
pub struct Training {
    /// The model's tensors.
    pub variables: Variables,
    /// Means of the gradients and of their squares, `[values]`: those of all trained tensors, one after the other.
    moments: [Tensor; 2],
    /// Steps done.
    pub step: i64,
    /// Seconds spent on them.
    pub seconds: f64,
}

impl Training {
    /// A training at its start.
    pub fn new(variables: Variables) -> Self {
        let mut trained = variables.trained.values();
        let device = trained.next().map_or(Device::Cpu, Tensor::device);
        let count = variables.count() as i64;
        let moments = [(); 2].map(|()| Tensor::zeros([count], (Kind::Float, device)));
        Self {
            variables,
            moments,
            step: 0,
            seconds: 0.0,
        }
    }

    /// How far it is. `progress`: from 0 to 1.
    pub fn line(&self, progress: f64) -> String {
        let minutes = self.seconds / 60.0;
        format!(
            "step {} {:.1} % {minutes:.1} min",
            self.step,
            100.0 * progress
        )
    }

    /// One step of the optimizer along the gradient of `loss`; returns the gradient's norm. A gradient that is not finite
    /// changes nothing.
    pub fn descend(&mut self, loss: &Tensor, rate: f64) -> f64 {
        for variable in self.variables.trained.values() {
            let mut gradient = variable.grad();
            if gradient.defined() {
                let _ = gradient.zero_();
            }
        }
        loss.backward();
        let _guard = tch::no_grad_guard();
        self.step += 1;
        // All tensors at once: on a GPU, one operation costs as much as another, however small.
        let gradients = self.variables.trained.values().map(|v| {
            let gradient = v.grad();
            if gradient.defined() {
                gradient.flatten(0, -1)
            } else {
                v.zeros_like().flatten(0, -1)
            }
        });
        let gradient = Tensor::cat(&gradients.collect::<Vec<_>>(), 0); // [values]
        let norm = gradient.norm().double_value(&[]);
        if !norm.is_finite() {
            return norm;
        }
        let clip = (MAX_GRADIENT / (norm + 1e-6)).min(1.0);
        let (one, two) = (
            1.0 - BETA1.powi(self.step as i32),
            1.0 - BETA2.powi(self.step as i32),
        );
        let gradient = gradient * clip; // [values]
        let [mean, square] = &mut self.moments;
        let _ = mean
            .g_mul_scalar_(BETA1)
            .g_add_(&(&gradient * (1.0 - BETA1)));
        let _ = square
            .g_mul_scalar_(BETA2)
            .g_add_(&(&gradient * &gradient * (1.0 - BETA2)));
        let steps = &*mean / one / ((&*square / two).sqrt() + EPS) * rate; // [values]
        for (variable, step) in self.variables.trained.values().zip(self.parts(&steps)) {
            let mut variable = variable.shallow_clone();
            // Norms, biases and the scale are not pulled towards 0.
            if variable.dim() > 1 {
                let _ = variable.g_mul_scalar_(1.0 - rate * WEIGHT_DECAY);
            }
            let _ = variable.g_sub_(&step);
        }
        norm
    }

    /// Views of `[values]`, in the shapes of the trained tensors.
    fn parts(&self, values: &Tensor) -> Vec<Tensor> {
        let mut start = 0;
        let part = |variable: &Tensor| {
            let (shape, count) = (variable.size(), variable.numel() as i64);
            let view = values.narrow(0, start, count).view(shape.as_slice());
            start += count;
            view
        };
        self.variables.trained.values().map(part).collect()
    }

    /// All tensors by the names that the checkpoint gives them.
    fn named(&self) -> Vec<(String, Tensor)> {
        let variables = &self.variables;
        let mut all: Vec<(String, Tensor)> = Vec::new();
        let [means, squares] = [0, 1].map(|at: usize| self.parts(&self.moments[at]));
        for ((name, variable), (mean, square)) in
            variables.trained.iter().zip(means.into_iter().zip(squares))
        {
            all.push((format!("trained.{name}"), variable.detach()));
            all.push((format!("mean.{name}"), mean));
            all.push((format!("square.{name}"), square));
        }
        all.extend(
            variables
                .statistics
                .iter()
                .map(|(name, tensor)| (format!("statistics.{name}"), tensor.shallow_clone())),
        );
        all
    }

    /// Writes the checkpoint, complete or not at all.
    pub fn save(&self, path: &Path) -> Result<(), Box<dyn Error>> {
        let on_cpu =
            |(name, tensor): (String, Tensor)| (name, tensor.to_device(Device::Cpu).contiguous());
        let mut all: Vec<(String, Tensor)> = self.named().into_iter().map(on_cpu).collect();
        all.push(("step".to_owned(), Tensor::from_slice(&[self.step])));
        all.push(("seconds".to_owned(), Tensor::from_slice(&[self.seconds])));
        let new = path.with_extension("new");
        Tensor::write_safetensors(&all, &new)?;
        Ok(std::fs::rename(&new, path).map_err(|e| format!("{}: {e}", path.display()))?)
    }

    /// Continues from a checkpoint of the same model.
    pub fn resume(&mut self, path: &Path) -> Result<(), Box<dyn Error>> {
        let saved: std::collections::BTreeMap<String, Tensor> =
            Tensor::read_safetensors(path)?.into_iter().collect();
        let get = |name: &str| {
            saved.get(name).ok_or_else(|| {
                format!(
                    "{}: no `{name}`; it belongs to another model",
                    path.display()
                )
            })
        };
        let _guard = tch::no_grad_guard();
        for (name, mut tensor) in self.named() {
            let values = get(&name)?;
            if values.size() != tensor.size() {
                return Err(format!(
                    "{}: `{name}` has another shape; it belongs to another model",
                    path.display()
                )
                .into());
            }
            tensor.copy_(values);
        }
        self.step = get("step")?.int64_value(&[0]);
        self.seconds = get("seconds")?.double_value(&[0]);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use tch::{Device, Kind};

    use super::*;

    fn fresh() -> Training {
        // Not random: other tests would draw from the same generator at the same time.
        let values = |shape: &[i64]| {
            let count = Tensor::arange(shape.iter().product::<i64>(), (Kind::Float, Device::Cpu));
            (count + 1.0).sin().reshape(shape)
        };
        let trained = [
            ("a".to_owned(), values(&[3, 4])),
            ("b".to_owned(), values(&[4])),
        ];
        let trained = trained.map(|(name, t)| (name, t.set_requires_grad(true)));
        let statistics = BTreeMap::from([("s".to_owned(), values(&[2]))]);
        Training::new(Variables {
            trained: trained.into(),
            statistics,
        })
    }

    fn advance(training: &mut Training, steps: i64) {
        for _ in 0..steps {
            let v = &training.variables.trained;
            let target = (training.step as f64).sin();
            let loss = ((&v["a"] * &v["b"]).sum(Kind::Float) - target).square();
            training.descend(&loss, 0.01);
            let _ = training.variables.statistics["s"]
                .shallow_clone()
                .g_mul_scalar_(0.9);
        }
    }

    #[test]
    fn a_training_that_was_interrupted_ends_where_an_uninterrupted_one_does() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("training.safetensors");
        let mut whole = fresh();
        advance(&mut whole, 7);
        let mut first = fresh();
        advance(&mut first, 4);
        first.seconds = 2.5;
        first.save(&path).unwrap();
        let mut second = fresh();
        second.resume(&path).unwrap();
        assert_eq!((second.step, second.seconds), (4, 2.5));
        advance(&mut second, 3);
        for ((name, one), (_, other)) in whole.named().iter().zip(second.named()) {
            assert!(one.allclose(&other, 0.0, 0.0, false), "{name}");
        }
        assert!(!whole.variables.trained["a"].allclose(
            &first.variables.trained["a"],
            1e-6,
            1e-6,
            false
        ));
    }

    #[test]
    fn a_checkpoint_of_another_model_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("training.safetensors");
        Tensor::write_safetensors(
            &[("trained.a", Tensor::zeros([1], (Kind::Float, Device::Cpu)))],
            &path,
        )
        .unwrap();
        let error = fresh().resume(&path).unwrap_err().to_string();
        assert!(
            error.contains("training.safetensors") && error.contains("another model"),
            "{error}"
        );
    }
}
