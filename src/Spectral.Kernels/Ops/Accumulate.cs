namespace Spectral.Kernels.Ops;

/// <summary>
/// Says which results of a backward pass are added to what their tensors hold; the others overwrite it.
/// </summary>
[Flags]
public enum Accumulate
{
    /// <summary>Adds to nothing: every result overwrites its tensor.</summary>
    Nothing = 0,

    /// <summary>Adds to the gradients of the parameters.</summary>
    Gradients = 1,

    /// <summary>Adds to the gradient of the input.</summary>
    Dx = 2,
}
