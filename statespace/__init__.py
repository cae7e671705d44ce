"""Systems with a state: model, discretize and run them, in NumPy.

The data flow: a continuous model (`ContinuousSystem`, `from_zpk`, …) is discretized (`discretize`), run
(`simulate`, `filter`, `Stream`), turned into its convolution kernel and back (`kernel`, `realize`), and looked at
(`frequency_response`, `ss.plot`); what holds of it, and of yours, is tested with `ss.testing`. Names load on first use.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import statespace.hippo as hippo
    import statespace.mamba as mamba
    import statespace.plot as plot
    import statespace.scipy_signal as scipy_signal
    import statespace.testing as testing
    from statespace.arrays import AccuracyWarning as AccuracyWarning
    from statespace.conversion import as_system as as_system
    from statespace.conversion import from_ba as from_ba
    from statespace.conversion import from_sos as from_sos
    from statespace.conversion import from_tf as from_tf
    from statespace.conversion import from_zpk as from_zpk
    from statespace.conversion import modal as modal
    from statespace.conversion import to_ba as to_ba
    from statespace.conversion import to_control as to_control
    from statespace.conversion import to_scipy as to_scipy
    from statespace.conversion import to_sos as to_sos
    from statespace.conversion import to_tf as to_tf
    from statespace.conversion import to_zpk as to_zpk
    from statespace.discretization import BackwardEuler as BackwardEuler
    from statespace.discretization import Bilinear as Bilinear
    from statespace.discretization import ExponentialTrapezoidal as ExponentialTrapezoidal
    from statespace.discretization import FirstOrderHold as FirstOrderHold
    from statespace.discretization import ForwardEuler as ForwardEuler
    from statespace.discretization import GeneralizedBilinear as GeneralizedBilinear
    from statespace.discretization import Impulse as Impulse
    from statespace.discretization import MatchedPoles as MatchedPoles
    from statespace.discretization import ZeroOrderHold as ZeroOrderHold
    from statespace.discretization import discretize as discretize
    from statespace.discretization import initial_state as initial_state
    from statespace.discretization import rediscretize as rediscretize
    from statespace.discretization import undiscretize as undiscretize
    from statespace.export import load as load
    from statespace.export import save as save
    from statespace.export import to_c as to_c
    from statespace.frequency import FrequencyResponse as FrequencyResponse
    from statespace.frequency import frequency_response as frequency_response
    from statespace.kernels import Realization as Realization
    from statespace.kernels import convolve as convolve
    from statespace.kernels import kernel as kernel
    from statespace.kernels import lift as lift
    from statespace.kernels import realize as realize
    from statespace.selective import SelectiveGradients as SelectiveGradients
    from statespace.selective import SelectiveState as SelectiveState
    from statespace.selective import SelectiveSystem as SelectiveSystem
    from statespace.selective import SSDGradients as SSDGradients
    from statespace.selective import SystemGradients as SystemGradients
    from statespace.selective import TrapezoidalGradients as TrapezoidalGradients
    from statespace.selective import TrapezoidalState as TrapezoidalState
    from statespace.selective import frozen as frozen
    from statespace.selective import selective_scan as selective_scan
    from statespace.selective import selective_scan_vjp as selective_scan_vjp
    from statespace.selective import selective_step as selective_step
    from statespace.selective import sequence_matrix as sequence_matrix
    from statespace.selective import ssd as ssd
    from statespace.selective import ssd_trapezoidal as ssd_trapezoidal
    from statespace.selective import ssd_trapezoidal_vjp as ssd_trapezoidal_vjp
    from statespace.selective import ssd_vjp as ssd_vjp
    from statespace.simulation import Explanation as Explanation
    from statespace.simulation import Response as Response
    from statespace.simulation import Stream as Stream
    from statespace.simulation import explain as explain
    from statespace.simulation import filter as filter
    from statespace.simulation import filtfilt as filtfilt
    from statespace.simulation import impulse_response as impulse_response
    from statespace.simulation import settling_samples as settling_samples
    from statespace.simulation import simulate as simulate
    from statespace.simulation import steady_state as steady_state
    from statespace.simulation import step_response as step_response
    from statespace.simulation import warmup as warmup
    from statespace.structure import Cascade as Cascade
    from statespace.structure import DelayLine as DelayLine
    from statespace.structure import Dense as Dense
    from statespace.structure import Diagonal as Diagonal
    from statespace.structure import DiagonalPlusLowRank as DiagonalPlusLowRank
    from statespace.systems import ContinuousSystem as ContinuousSystem
    from statespace.systems import DiscreteSystem as DiscreteSystem
    from statespace.systems import append as append
    from statespace.systems import feedback as feedback
    from statespace.systems import parallel as parallel
    from statespace.systems import series as series

__version__ = "0.1.0"

# The module that each public name lives in.
_HOME = {
    "AccuracyWarning": "arrays",
    "BackwardEuler": "discretization",
    "Bilinear": "discretization",
    "Cascade": "structure",
    "ContinuousSystem": "systems",
    "DelayLine": "structure",
    "Dense": "structure",
    "Diagonal": "structure",
    "DiagonalPlusLowRank": "structure",
    "DiscreteSystem": "systems",
    "Explanation": "simulation",
    "ExponentialTrapezoidal": "discretization",
    "FirstOrderHold": "discretization",
    "ForwardEuler": "discretization",
    "FrequencyResponse": "frequency",
    "GeneralizedBilinear": "discretization",
    "Impulse": "discretization",
    "MatchedPoles": "discretization",
    "Realization": "kernels",
    "Response": "simulation",
    "SSDGradients": "selective",
    "SelectiveGradients": "selective",
    "SelectiveState": "selective",
    "Stream": "simulation",
    "TrapezoidalGradients": "selective",
    "TrapezoidalState": "selective",
    "ZeroOrderHold": "discretization",
    "append": "systems",
    "as_system": "conversion",
    "convolve": "kernels",
    "discretize": "discretization",
    "explain": "simulation",
    "feedback": "systems",
    "filter": "simulation",
    "filtfilt": "simulation",
    "frequency_response": "frequency",
    "from_ba": "conversion",
    "from_sos": "conversion",
    "from_tf": "conversion",
    "from_zpk": "conversion",
    "impulse_response": "simulation",
    "initial_state": "discretization",
    "kernel": "kernels",
    "lift": "kernels",
    "load": "export",
    "modal": "conversion",
    "parallel": "systems",
    "realize": "kernels",
    "rediscretize": "discretization",
    "save": "export",
    "selective_scan": "selective",
    "selective_scan_vjp": "selective",
    "selective_step": "selective",
    "series": "systems",
    "settling_samples": "simulation",
    "simulate": "simulation",
    "SelectiveSystem": "selective",
    "SystemGradients": "selective",
    "frozen": "selective",
    "sequence_matrix": "selective",
    "ssd": "selective",
    "ssd_trapezoidal": "selective",
    "ssd_trapezoidal_vjp": "selective",
    "ssd_vjp": "selective",
    "steady_state": "simulation",
    "step_response": "simulation",
    "to_ba": "conversion",
    "to_c": "export",
    "to_control": "conversion",
    "to_scipy": "conversion",
    "to_sos": "conversion",
    "to_tf": "conversion",
    "to_zpk": "conversion",
    "undiscretize": "discretization",
    "warmup": "simulation",
}

__all__ = [*sorted(_HOME), "hippo", "mamba", "plot", "scipy_signal", "testing"]

# What people from other libraries type, and what it is called here.
_ELSEWHERE = {
    "c2d": "discretize(system, dt, method)",
    "cont2discrete": "discretize(system, dt, method)",
    "sample_system": "discretize(system, dt, method)",
    "d2c": "undiscretize(system)",
    "d2d": "rediscretize(system, dt)",
    "lsim": "simulate(system, u, t=t)",
    "dlsim": "simulate(system, u)",
    "forced_response": "simulate(system, u, t=t)",
    "lfilter": "filter(from_ba(b, a, dt=dt), x, axis=axis)",
    "sosfilt": "filter(from_sos(sos, dt=dt), x, axis=axis)",
    "sosfiltfilt": "filtfilt(from_sos(sos, dt=dt), x, axis=axis)",
    "bode": "plot.bode(system)",
    "bode_plot": "plot.bode(system)",
    "freqresp": "frequency_response(system, omega)",
    "freqz": "frequency_response(system, omega)",
    "impulse": "impulse_response(system)",
    "step": "step_response(system)",
    "ss": "ContinuousSystem(A, B, C, D) or DiscreteSystem(A, B, C, D, dt=dt)",
    "StateSpace": "ContinuousSystem(A, B, C, D) or DiscreteSystem(A, B, C, D, dt=dt)",
    "tf": "from_tf(num, den)",
    "tf2ss": "from_tf(num, den)",
    "zpk": "from_zpk(z, p, k)",
    "zpk2ss": "from_zpk(z, p, k)",
    "tf2sos": "to_sos(from_ba(b, a, dt=dt))",
    "tf2zpk": "to_zpk(from_tf(num, den))",
    "zpk2sos": "to_sos(from_zpk(z, p, k, dt=dt))",
    "zpk2tf": "to_tf(from_zpk(z, p, k))",
    "sos2zpk": "to_zpk(from_sos(sos, dt=dt))",
    "sos2tf": "to_ba(from_sos(sos, dt=dt))",
    "ss2tf": "to_tf(system)",
    "tfdata": "to_tf(system)",
    "ss2zpk": "to_zpk(system)",
    "zpkdata": "to_zpk(system)",
    "ss2sos": "to_sos(system)",
    "canon": "modal(system)",
    "modal_form": "modal(system)",
    "canonical_form": "modal(system)",
    "initial_response": "simulate(system, u, t=t, x0=x0)",
    "dfreqresp": "frequency_response(system, omega)",
    "bilinear_zpk": "discretize(system, fs=fs, method='bilinear')",
    "bilinear": "discretize(system, fs=fs, method='bilinear')",
    "impinvar": "discretize(system, fs=fs, method='impulse')",
    "zplane": "plot.poles(system)",
    "stepz": "step_response(system, n)",
    "impz": "impulse_response(system, n)",
    "isstable": "system.is_stable",
    "TransferFunction": "from_tf(num, den)",
    "lti": "ContinuousSystem(A, B, C, D), from_tf(num, den) or from_zpk(z, p, k)",
    "dlti": "DiscreteSystem(A, B, C, D, dt=dt)",
    "lfilter_zi": "steady_state(system, u0)",
    "sosfilt_zi": "steady_state(system, u0)",
    "ZerosPolesGain": "from_zpk(z, p, k)",
    "sos2ss": "from_sos(sos, dt=dt)",
    "filt": "from_ba(b, a, dt=dt)",
    "to_discrete": "discretize(system, dt, method)",
    "dimpulse": "impulse_response(system)",
    "dstep": "step_response(system)",
    "evalfr": "system(s)",
    "pzmap": "plot.poles(system)",
    "zero": "system.zeros",
    "pole": "system.poles",
    "poles": "system.poles",
    "zeros": "system.zeros",
    "dcgain": "system.dc_gain",
    "fftconvolve": "convolve(u, h)",
    "oaconvolve": "convolve(u, h)",
    "eigensys_realization": "realize(h, order, dt=dt), h with time on axis −3",
    "era": "realize(h, order, dt=dt), h with time on axis −3",
    "stream": "Stream(system)",
    "mamba_chunk_scan_combined": "ssd(x, delta, A, B, C, D)",
    "selective_scan_fn": "selective_scan(u, delta, A, B, C, D), time on axis −2",
    "selective_state_update": "selective_step(state, u, delta, A, B, C, D)",
    "markov": "kernel(system, length)",
}


if not TYPE_CHECKING:  # a typo stays an error for the type checker

    def __getattr__(name: str) -> Any:
        if name in _HOME:
            value = getattr(import_module(f"statespace.{_HOME[name]}"), name)
            globals()[name] = value
            return value
        if name in ("hippo", "mamba", "plot", "scipy_signal", "testing"):
            return import_module(f"statespace.{name}")
        hint = f"; here it is statespace.{_ELSEWHERE[name]}" if name in _ELSEWHERE else ""
        if hint and _ELSEWHERE[name].startswith("system"):
            hint = f"; here it is {_ELSEWHERE[name]}"
        raise AttributeError(f"module 'statespace' has no attribute {name!r}{hint}")


def __dir__() -> list[str]:
    return [*__all__, "__version__"]
