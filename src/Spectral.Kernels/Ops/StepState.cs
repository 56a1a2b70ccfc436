using System.Runtime.InteropServices;
using Spectral.Kernels.Interop;

namespace Spectral.Kernels.Ops;

/// <summary>
/// Holds in device memory what differs from one training step to the next: learning rate, bias corrections, clip
/// factor, loss scale, the position of dropout's random numbers, and whether the update is skipped. Kernels get its
/// address, so that a captured step can be replayed. Call <see cref="Configure"/> when a setting changes, <see
/// cref="NextBatch"/> before each micro-batch, and <see cref="Advance"/> once per step.
/// </summary>
public sealed class StepState : IDisposable
{
    // The twin of StepState in native/device/step_state.cuh.
    [StructLayout(LayoutKind.Sequential)]
    private struct Values
    {
        public double LearningRate;
        public double Beta1;
        public double Beta2;
        public double Epsilon;
        public double WeightDecay;
        public double MaxNorm;
        public float LossScale;
        public float Unused;
        public double Step;
        public double Norm;
        public float Decay;
        public float StepSize;
        public float OneMinusBeta1;
        public float KeepBeta2;
        public float OneMinusBeta2;
        public float Correction;
        public float EpsilonF;
        public float Clip;
        public int Skip;
        public int UnusedToo;
        public ulong DropoutSeed;
        public ulong DropoutOffset;
    }

    private const int StateDoubles = 16;
    private const int SettingsBytes = 56;

    private readonly Tensor _values;

    /// <summary>Makes the state before step 1: no step made, all settings zero.</summary>
    public StepState(Device device)
    {
        _values = Tensor.Zeros(device, StateDoubles, DType.F64);
        LossScale = Tensor.FromPointer(
            device,
            _values.Pointer + (ulong)Marshal.OffsetOf<Values>(nameof(Values.LossScale)),
            1,
            DType.F32
        );
    }

    /// <summary>Device that holds the state.</summary>
    public Device Device => _values.Device;

    /// <summary>Device address of the native <c>StepState</c>.</summary>
    /// <exception cref="ObjectDisposedException">It was disposed.</exception>
    public ulong Pointer => _values.Pointer;

    /// <summary>
    /// Device address of the native <c>DropoutState</c> within it: 64-bit seed, then 64-bit offset, the number of the
    /// micro-batch.
    /// </summary>
    public ulong DropoutPointer => Pointer + (ulong)Marshal.OffsetOf<Values>(nameof(Values.DropoutSeed));

    /// <summary>Factor of the loss gradients, [1] F32; valid as long as this object, which owns it.</summary>
    public Tensor LossScale { get; }

    /// <summary>Writes the settings; they hold from the next <see cref="Advance"/> on.</summary>
    /// <param name="settings">Learning rate and the rest.</param>
    /// <param name="lossScale">Factor of loss gradients, read through <see cref="LossScale"/>: 1 / loss tokens of the
    /// step.</param>
    /// <exception cref="ArgumentException">A setting is out of range.</exception>
    public void Configure(in AdamWSettings settings, float lossScale = 1)
    {
        if (!(settings.Beta1 is >= 0 and < 1 && settings.Beta2 is >= 0 and < 1))
        {
            throw new ArgumentException(
                $"beta1 is {settings.Beta1} and beta2 {settings.Beta2}, expected 0 or more and below 1",
                nameof(settings)
            );
        }

        if (
            !(
                double.IsFinite(settings.LearningRate)
                && double.IsFinite(settings.WeightDecay)
                && settings.Epsilon >= 0
                && settings.MaxNorm >= 0
            )
        )
        {
            throw new ArgumentException(
                $"{settings}: expected a finite learning rate and weight decay, epsilon and max norm of 0 or more",
                nameof(settings)
            );
        }

        var values = new Values
        {
            LearningRate = settings.LearningRate,
            Beta1 = settings.Beta1,
            Beta2 = settings.Beta2,
            Epsilon = settings.Epsilon,
            WeightDecay = settings.WeightDecay,
            MaxNorm = settings.MaxNorm,
            LossScale = lossScale,
        };
        Write(0, MemoryMarshal.AsBytes(new ReadOnlySpan<Values>(in values))[..SettingsBytes]);
    }

    /// <summary>
    /// Sets seed and offset of dropout's random numbers; the masks of all later micro-batches depend on these two
    /// alone.
    /// </summary>
    /// <param name="seed">Key of the generator.</param>
    /// <param name="offset">Micro-batches made so far, to go on with a saved run.</param>
    public void SeedDropout(ulong seed, ulong offset = 0) =>
        Write(StateDoubles - 2, MemoryMarshal.AsBytes<ulong>([seed, offset]));

    /// <summary>Advances dropout to the next micro-batch.</summary>
    public void NextBatch() => StepStateArgs.NextBatch.Launch(Device, new StepStateArgs { State = Pointer }, 1);

    /// <summary>
    /// Counts the step and derives bias corrections and clip factor <c>min(1, maxNorm / (norm + 1e-6))</c>. If the norm
    /// or a loss is not finite the step is skipped: neither the count nor, in <see cref="AdamW.Step"/>, any parameter
    /// changes.
    /// </summary>
    /// <param name="norm">[1] F32, global norm of the gradients; null: no clipping and no check.</param>
    /// <param name="losses">Any shape, F32; null: no check.</param>
    /// <exception cref="ArgumentException">Shape, type or device does not fit.</exception>
    public void Advance(Tensor? norm, Tensor? losses = null)
    {
        if (norm is not null)
            Check.Operand(norm, _values, DType.F32, [1]);
        if (losses is not null)
            Check.Operand(losses, _values, DType.F32);
        var args = new StepStateArgs
        {
            State = Pointer,
            Norm = norm?.Pointer ?? 0,
            Losses = losses?.Pointer ?? 0,
            Count = losses?.Count ?? 0,
        };
        StepStateArgs.Advance.Launch(Device, args, 1);
    }

    /// <summary>
    /// Returns the number of updates so far, the norm given to the last <see cref="Advance"/> and whether it skipped;
    /// waits for the device.
    /// </summary>
    public (long Steps, double Norm, bool Skipped) Read()
    {
        Values values = ReadAll();
        return ((long)values.Step, values.Norm, values.Skip != 0);
    }

    /// <summary>Returns seed and offset of dropout, to save a run; waits for the device.</summary>
    public (ulong Seed, ulong Offset) ReadDropout()
    {
        Values values = ReadAll();
        return (values.DropoutSeed, values.DropoutOffset);
    }

    /// <summary>Sets the number of steps so far, to continue a saved run.</summary>
    /// <param name="steps">0 or more.</param>
    /// <exception cref="ArgumentException">The number is negative.</exception>
    public void SetSteps(long steps)
    {
        if (steps < 0)
            throw new ArgumentException($"steps is {steps}, expected 0 or more", nameof(steps));
        Write(
            (int)Marshal.OffsetOf<Values>(nameof(Values.Step)) / sizeof(double),
            MemoryMarshal.AsBytes<double>([steps])
        );
    }

    /// <summary>Frees the device memory. A second call does nothing.</summary>
    public void Dispose()
    {
        LossScale.Dispose();
        _values.Dispose();
    }

    private Values ReadAll()
    {
        Span<Values> values = stackalloc Values[1];
        _values.CopyTo(MemoryMarshal.AsBytes(values));
        return values[0];
    }

    private void Write(int index, ReadOnlySpan<byte> bytes)
    {
        using Tensor target = _values.Rows(index, bytes.Length / sizeof(double));
        target.CopyFrom(bytes);
    }
}
