using Spectral.Kernels;
using Spectral.Training.Models;

namespace Spectral.Training.Compression;

/// <summary>One compression: what a method reads, and where it writes.</summary>
/// <param name="Input">The folder to compress.</param>
/// <param name="Output">An existing folder for the result.</param>
/// <param name="Options">The settings, already checked against <see cref="CompressionMethod.Uses"/>.</param>
/// <param name="Device">The device to compute on.</param>
/// <param name="Model">The base model; null if it is not given.</param>
/// <param name="Cancellation">Checked between layers.</param>
internal sealed record CompressionRun(
    string Input,
    string Output,
    CompressionOptions Options,
    Device Device,
    ModelFolder? Model,
    CancellationToken Cancellation
);
