namespace Spectral.Kernels;

/// <summary>Arguments of the forward kernels in <c>swiglu.cu</c>.</summary>
[KernelArgs("swiglu", "swiglu_forward_f32", "swiglu_forward_bf16")]
public struct SwiGluForwardArgs
{
    /// <summary>Device address.</summary>
    public ulong Gate, Up, Y;
    /// <summary>Size.</summary>
    public long Count;
}

/// <summary>Arguments of the backward kernels in <c>swiglu.cu</c>.</summary>
[KernelArgs("swiglu", "swiglu_backward_f32", "swiglu_backward_bf16")]
public struct SwiGluBackwardArgs
{
    /// <summary>Device address.</summary>
    public ulong Gate, Up, Dy, DGate, DUp;
    /// <summary>Size.</summary>
    public long Count;
}

/// <summary>The gated unit <c>silu(gate) ∘ up</c>, <c>silu(g) = g / (1 + e⁻ᵍ)</c> (Shazeer 2020).</summary>
public static class SwiGlu
{
    /// <summary><c>y = silu(gate) ∘ up</c>.</summary>
    /// <param name="gate">Any shape, F32 or BF16.</param>
    /// <param name="up">Shape and type of the gate.</param>
    /// <param name="y">Shape and type of the gate; may be one of the inputs.</param>
    /// <exception cref="ArgumentException">Shape, type or device does not fit.</exception>
    public static void Forward(Tensor gate, Tensor up, Tensor y)
    {
        Check.Floating(gate, nameof(gate));
        Check.SameDevice(gate.Device, gate, nameof(gate));
        SameAs(gate, up, nameof(up));
        SameAs(gate, y, nameof(y));
        if (gate.Count == 0) return;
        var args = new SwiGluForwardArgs { Gate = gate.Pointer, Up = up.Pointer, Y = y.Pointer, Count = gate.Count };
        string entry = Launch.Entry(gate.DType, "swiglu_forward_f32", "swiglu_forward_bf16");
        gate.Device.Kernel("swiglu", entry).Launch(args, Launch.FlatBlocks(args.Count, gate.DType), Launch.FlatThreads);
    }

    /// <summary><c>dGate = dy ∘ up ∘ silu′(gate)</c>, <c>dUp = dy ∘ silu(gate)</c>.</summary>
    /// <param name="gate">As in forward.</param>
    /// <param name="up">As in forward.</param>
    /// <param name="dy">Shape and type of the gate.</param>
    /// <param name="dGate">Shape and type of the gate; may be any of the inputs.</param>
    /// <param name="dUp">Shape and type of the gate; may be any of the inputs.</param>
    /// <exception cref="ArgumentException">Shape, type or device does not fit.</exception>
    public static void Backward(Tensor gate, Tensor up, Tensor dy, Tensor dGate, Tensor dUp)
    {
        Check.Floating(gate, nameof(gate));
        Check.SameDevice(gate.Device, gate, nameof(gate));
        SameAs(gate, up, nameof(up));
        SameAs(gate, dy, nameof(dy));
        SameAs(gate, dGate, nameof(dGate));
        SameAs(gate, dUp, nameof(dUp));
        if (gate.Count == 0) return;
        var args = new SwiGluBackwardArgs
        {
            Gate = gate.Pointer, Up = up.Pointer, Dy = dy.Pointer, DGate = dGate.Pointer, DUp = dUp.Pointer, Count = gate.Count,
        };
        string entry = Launch.Entry(gate.DType, "swiglu_backward_f32", "swiglu_backward_bf16");
        gate.Device.Kernel("swiglu", entry).Launch(args, Launch.FlatBlocks(args.Count, gate.DType), Launch.FlatThreads);
    }

    private static void SameAs(Tensor gate, Tensor tensor, string name)
    {
        Check.SameShape(gate, "gate", tensor, name);
        Check.SameDType(gate, "gate", tensor, name);
        Check.SameDevice(gate.Device, tensor, name);
    }
}
